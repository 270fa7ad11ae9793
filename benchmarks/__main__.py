"""python -m benchmarks NAME [arguments]: runs one of them."""

import sys

from benchmarks import activations, as_of, batch, put, windows

BENCHMARKS = {
    "activations": activations.main,
    "as-of": as_of.main,
    "batch": batch.main,
    "put": put.main,
    "windows": windows.main,
}


def main() -> None:
    name, *arguments = sys.argv[1:] or [""]
    if name not in BENCHMARKS:
        sys.exit(f"python -m benchmarks NAME, where NAME is one of: {', '.join(BENCHMARKS)}")
    BENCHMARKS[name](arguments)


main()
