"""Measure a rebuild of all projections, a verification and an export of all events.

The baseline is reading and decoding the same events. Each task runs in its own process, in turns with the baseline.
"""

import argparse

from api.settings import Settings
from benchmarks.engines.engine import Engine
from benchmarks.fill.full_ledger import READING, REBUILD, TASKS, TaskResult, run_task
from benchmarks.fill.long_history import EVENTS_PER_OFFER, Past, fill
from benchmarks.fill.saved_ledgers import add_directory, filled
from benchmarks.queries.as_of_offers import GROUPS
from benchmarks.reporting.comparison import PAIRS, PAIRS_HELP, Compared, measure_in_turns
from benchmarks.reporting.report import Report

EVENTS_HELP = "Approximate number of events of each ledger. Default: 1000000."
AT_MOST = {"sqlite": {REBUILD: 5.0}, "postgresql": {REBUILD: 4.5}}
GOALS_FROM = 100_000
"""The number of events from which the goals apply: with fewer, the fixed cost of a rebuild has too much weight."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, nargs="+", default=(1_000_000,), help=EVENTS_HELP)
    parser.add_argument("--pairs", type=int, default=PAIRS, help=PAIRS_HELP)
    add_directory(parser)


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    ledgers = [_ledger(engine, events) for events in options.events]
    report.head()
    for ledger in ledgers:
        for task in (task for task in TASKS if task != READING):
            _compare(report, engine.name, ledger, task, options.pairs)


def _ledger(engine: Engine, events: int) -> Settings:
    """Returns a filled ledger. Every group has the same number of offers."""
    offers = max(2, round(events / EVENTS_PER_OFFER / len(GROUPS))) * len(GROUPS)
    ledger, _ = filled(engine, f"offers_{offers}", Past, lambda ledger: fill(ledger, offers))
    return ledger


def _compare(report: Report, engine: str, ledger: Settings, task: str, pairs: int) -> None:
    results: dict[str, list[TaskResult]] = {task: [], READING: []}

    def seconds(name: str) -> float:
        results[name].append(run_task(ledger, name))
        return results[name][-1].seconds

    figures = measure_in_turns(lambda: seconds(task), lambda: seconds(READING), pairs)
    events = results[task][0].events
    at_most = AT_MOST[engine].get(task) if events >= GOALS_FROM else None
    report.add(Compared(task, "s", READING, *figures, at_most=at_most, size=events))
    ours, theirs = ([result.peak for result in results[name]] for name in (task, READING))
    report.add(Compared(f"{task}: peak above idle", "MiB", READING, ours, theirs, size=events))
