"""What does it cost to make all projections again, beside reading the events that they are made of?

So with what else goes through all events: to verify the projections, and to stream the events as lines. Each goes on in a
process of its own, which takes turns with one that reads the same events, and decodes them.
"""

import argparse

from api.settings import Settings
from benchmarks.engines.engine import Engine
from benchmarks.fill.full_ledger import READING, REBUILD, TASKS, Took, go_through
from benchmarks.fill.long_history import EVENTS_PER_OFFER, Past, fill
from benchmarks.fill.saved_ledgers import add_directory, filled
from benchmarks.reporting.comparison import PAIRS, Compared, in_turn
from benchmarks.reporting.report import Report
from benchmarks.scenarios.as_of_offers import GROUPS

AT_MOST = {REBUILD: 4.0}
GOALS_FROM = 100_000
"""Events: with fewer, what any rebuild costs weighs too much."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, nargs="+", default=(1_000_000,), help="about so many (1000000)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"({PAIRS})")
    add_directory(parser)


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    ledgers = [_ledger(engine, events) for events in options.events]
    report.head()
    for ledger in ledgers:
        for task in (task for task in TASKS if task != READING):
            _compare(report, ledger, task, options.pairs)


def _ledger(engine: Engine, events: int) -> Settings:
    """Every group has as many offers, and some of them are changed."""
    offers = max(2, round(events / EVENTS_PER_OFFER / len(GROUPS))) * len(GROUPS)
    ledger, _ = filled(engine, f"offers_{offers}", Past, lambda ledger: fill(ledger, offers))
    return ledger


def _compare(report: Report, ledger: Settings, task: str, pairs: int) -> None:
    took: dict[str, list[Took]] = {task: [], READING: []}

    def seconds(of: str) -> float:
        took[of].append(go_through(ledger, of))
        return took[of][-1].seconds

    taken = in_turn(lambda: seconds(task), lambda: seconds(READING), pairs)
    events = took[task][0].events
    at_most = AT_MOST.get(task) if events >= GOALS_FROM else None
    report.add(Compared(task, "s", READING, *taken, at_most=at_most, size=events))
    ours, theirs = ([one.peak for one in took[of]] for of in (task, READING))
    report.add(Compared(f"{task}: peak above idle", "MiB", READING, ours, theirs, size=events))
