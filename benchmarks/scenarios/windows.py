"""Is a ledger with a hundred times as many redemption windows still as quick to answer?

Two ledgers stand side by side, a small one and a large one, each with a server of its own. They take turns with each question,
which is asked over HTTP; a figure is the median of the askings of a turn, in milliseconds.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.clients.query_client import Turns, add_seconds
from benchmarks.engines.engine import Engine, environment
from benchmarks.fill.many_windows import Past, fill
from benchmarks.fill.saved_ledgers import add_directory, filled
from benchmarks.reporting.comparison import PAIRS, Compared, in_turn
from benchmarks.reporting.report import Report
from benchmarks.scenarios.windows_queries import Questions
from benchmarks.servers.server_process import Server

PER_COMMIT = 20_000
"""Activations at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--windows", type=int, nargs=2, default=(10_000, 1_000_000), help="of both (10000 1000000)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"({PAIRS})")
    add_seconds(parser)
    add_directory(parser)


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    with ExitStack() as opened:
        small, large = [opened.enter_context(_asking(engine, count)) for count in options.windows]
        beside = f"{options.windows[0]:,} windows"
        report.head()
        for one, other in zip(large, small, strict=True):
            sides = [Turns(question.ask, options.seconds) for question in (one, other)]
            if sides[0].found != sides[1].found:
                report.note(f"{one.name.strip()}: {sides[0].found} items, beside {sides[1].found}")
            taken = in_turn(sides[0].milliseconds, sides[1].milliseconds, options.pairs)
            report.add(Compared(one.name, "ms", beside, *taken, size=options.windows[1]))


@contextmanager
def _asking(engine: Engine, windows: int) -> Iterator[Questions]:
    name = f"windows_{windows}"
    ledger, past = filled(engine, name, Past, lambda ledger: fill(ledger, windows, PER_COMMIT))
    with Server(environment(ledger), engine.folder / f"{name}.log") as server:
        questions = Questions(server.url, past)
        yield questions
        questions.close()
