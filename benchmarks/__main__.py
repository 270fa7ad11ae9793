"""Runs one benchmark, or shows the figures of earlier runs: `python -m benchmarks NAME [arguments]`."""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from benchmarks.engines.engine import Engine
from benchmarks.engines.postgresql import postgresql
from benchmarks.engines.sqlite import sqlite
from benchmarks.reporting import markdown, plot, report
from benchmarks.reporting.report import Report
from benchmarks.scenarios import activations, as_of, batch, growth, interference, put, rebuild, windows


class Benchmark(Protocol):
    """The interface of a benchmark module. Its docstring is the help text."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, engine: Engine, options: argparse.Namespace, report: Report, /) -> None: ...


BENCHMARKS: Mapping[str, Benchmark] = {
    "activations": activations,
    "as-of": as_of,
    "batch": batch,
    "beside": interference,
    "growth": growth,
    "put": put,
    "rebuild": rebuild,
    "windows": windows,
}
ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Engine]]] = {"sqlite": sqlite, "postgresql": postgresql}

PLOT, MARKDOWN = "plot", "markdown"


def main() -> None:
    options = _options()
    if options.benchmark == PLOT:
        plot.draw(options)
    elif options.benchmark == MARKDOWN:
        markdown.show(options)
    else:
        _run(options)


def _run(options: argparse.Namespace) -> None:
    engines = list(ENGINES) if options.engine == "both" else [options.engine]
    reports: list[Report] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in engines:
            folder = (options.directory or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            with ENGINES[name](folder) as engine:
                reports.append(report.begin(options.benchmark, engine))
                BENCHMARKS[options.benchmark].run(engine, options, reports[-1])
            reports[-1].summarise()
            print()
            if options.json:
                report.write(reports, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Run a benchmark, or show the figures of earlier runs."
    )
    names = parser.add_subparsers(dest="benchmark", metavar="NAME", required=True)
    for name, benchmark in BENCHMARKS.items():
        description = str(benchmark.__doc__)
        subparser = names.add_parser(name, **_help_texts(description))
        subparser.add_argument(
            "--engine", choices=[*ENGINES, "both"], default="sqlite", help="Database to measure. Default: sqlite."
        )
        subparser.add_argument(
            "--json", type=Path, metavar="FILE", help="File for all figures, as JSON. Default: no file."
        )
        subparser.set_defaults(directory=None)
        benchmark.add_arguments(subparser)
    plot.add_arguments(names.add_parser(PLOT, **_help_texts(str(plot.__doc__))))
    markdown.add_arguments(names.add_parser(MARKDOWN, **_help_texts(str(markdown.__doc__))))
    return parser.parse_args()


def _help_texts(docstring: str) -> dict[str, Any]:
    """Returns the texts of a subparser: its line in the list of commands, and its own help in paragraphs."""
    return {
        "help": docstring.splitlines()[0],
        "description": docstring.strip(),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


main()
