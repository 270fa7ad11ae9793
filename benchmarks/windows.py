"""Is a ledger with a hundred times as many redemption windows still as quick to answer?

Two ledgers stand side by side, a small one and a large one, each with a server of its own. They take turns with each question,
which is asked over HTTP; a figure is the median of the askings of a turn, in milliseconds.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.asking import Turns, add_seconds
from benchmarks.compared import PAIRS, Compared, in_turn
from benchmarks.engines import Engine, environment
from benchmarks.kept import add_directory, filled
from benchmarks.report import Report
from benchmarks.serving import Server
from benchmarks.windows_fill import Past, fill
from benchmarks.windows_questions import Questions

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
