"""python -m benchmarks.rivals NAME serve --port PORT: serves one of them on the ledger that the settings name."""

import argparse

import uvicorn

from api.settings import Settings
from benchmarks.rivals import plain, upsert

APPS = {"upsert": upsert.app, "plain": plain.app}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals")
    parser.add_argument("name", choices=APPS)
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    uvicorn.run(APPS[options.name](Settings()), port=options.port)


main()
