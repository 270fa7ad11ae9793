"""Measure the time and the memory of a large Synchronize over HTTP, compared with raw writes and rivals.

A new partner creates its offers, repeats them unchanged, changes every second one, and replaces all of them. In each
pair, the service, its floor (see benchmarks/floors) and the rivals do the same work, one after the other. The next
pair has a new partner, and another server begins; the offers of earlier partners stay. The benchmark stops if a rival
returns other counts.

The rival "plain eventsourcing" gets no batches that take it much longer than a minute. The rival "COPY and MERGE" is
measured on PostgreSQL.

Finally, a server that measures the CPU time of each stage gets the largest batches again.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks.engines.engine import Engine
from benchmarks.fill.offers import batch, offers, with_new_id
from benchmarks.floors.raw_batch import Floor, floor_of
from benchmarks.reporting.comparison import PAIRS, PAIRS_HELP, Compared
from benchmarks.reporting.report import Report
from benchmarks.scenarios.batch_stages import measure_stages
from benchmarks.servers.contenders import (
    BATCH_RIVALS,
    MERGE,
    PLAIN,
    RIVALS,
    UPSERT,
    Contender,
    Counts,
    run_rival,
    run_service,
)
from benchmarks.servers.server_process import MIB

OFFERS_HELP = "Offers of each batch; one or more sizes. Default: 10000 100000."
CREATED, IDENTICAL, HALF_CHANGED, REPLACED = CASES = ("created", "identical", "half changed", "replaced")
OURS, FLOOR, ALL_ROWS, PEAK, BODY = "ours", "floor", "all rows", "peak", "body"
RAW_ROWS = "raw write of the rows"
RAW_ALL = "all rows and body, raw"
BODY_ONLY = "body in, split, written"
FLOOR_AT_MOST = {"sqlite": {CREATED: 4.0, IDENTICAL: 2.3}, "postgresql": {CREATED: 4.2, IDENTICAL: 2.2}}
RATE_AT_LEAST = {
    "sqlite": {UPSERT: {CREATED: 1.5, HALF_CHANGED: 1.4, REPLACED: 1.2}},
    "postgresql": {
        UPSERT: {CREATED: 1.3, HALF_CHANGED: 1.2, REPLACED: 1.1},
        MERGE: {CREATED: 0.6, HALF_CHANGED: 0.6, REPLACED: 0.6},
    },
}
"""Goals of the rate, by database, rival and case."""
MEMORY_AT_MOST = 2.0
GOALS_FROM = 100_000
"""The number of offers from which the goals apply: in smaller batches, the fixed cost of a request has too much
weight."""
MAX_PLAIN_OFFERS = {"sqlite": 100_000, "postgresql": 10_000}
WARM_UP, WARM_UP_OFFERS = "warm-up", 100

Figures = defaultdict[tuple[str, str], list[float]]
"""Figures of all pairs, by case and participant: seconds, or MiB of memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, nargs="+", default=(10_000, 100_000), help=OFFERS_HELP)
    parser.add_argument("--pairs", type=int, default=PAIRS, help=PAIRS_HELP)
    defaults = ", ".join(f"{maximum} on {engine}" for engine, maximum in MAX_PLAIN_OFFERS.items())
    parser.add_argument(
        "--most-plain", type=int, help=f"Largest batch for the rival plain eventsourcing. Default: {defaults}."
    )


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    most_plain = MAX_PLAIN_OFFERS[engine.name] if options.most_plain is None else options.most_plain
    report.note(f"{RIVALS[PLAIN]} gets no batches larger than {most_plain:,} offers.\n")
    partners = [WARM_UP, *(partner_of(count, pair) for count in options.offers for pair in range(options.pairs))]
    with ExitStack() as running:
        ours = running.enter_context(run_service(engine, "batches", partners))
        rivals = {name: running.enter_context(run_rival(engine, name)) for name in BATCH_RIVALS[engine.name]}
        batches = _Batches(ours, rivals, running.enter_context(floor_of(engine, ours.ledger)))
        report.head()
        for count in options.offers:
            _report(
                report,
                engine.name,
                count,
                batches.pairs(count, options.pairs, without=PLAIN if count > most_plain else None),
            )
    report.add_stages(measure_stages(engine, bodies_of(max(options.offers))))


def partner_of(count: int, pair: int) -> str:
    return f"partner-{count}-{pair}"


def bodies_of(count: int) -> dict[str, bytes]:
    """Returns the batch of each case, in the order in which they are sent."""
    return {
        CREATED: (created := batch("Synchronize", offers(count))),
        IDENTICAL: created,
        HALF_CHANGED: batch("Synchronize", offers(count, changed_share=0.5)),
        REPLACED: batch("Synchronize", offers(count, "p")),
    }


class _Batches:
    """Sends batches to the service and its rivals."""

    def __init__(self, ours: Contender, rivals: Mapping[str, Contender], floor: Floor) -> None:
        self._ours, self._rivals, self._floor = ours, rivals, floor
        for one in (ours, *rivals.values()):
            one.post(WARM_UP, batch("Synchronize", offers(WARM_UP_OFFERS)))
        time.sleep(2)
        self._idle = ours.server.memory("VmRSS")

    def pairs(self, count: int, pairs: int, without: str | None) -> Figures:
        bodies = bodies_of(count)
        names = [name for name in (OURS, *self._rivals) if name != without]
        figures: Figures = defaultdict(list)
        for number in range(pairs):
            first = number % len(names)
            for case, body in bodies.items():
                self._pair(case, partner_of(count, number), with_new_id(body), names[first:] + names[:first], figures)
        return figures

    def _pair(self, case: str, partner: str, body: bytes, names: Sequence[str], figures: Figures) -> None:
        """Sends a batch to all of them. Raises RuntimeError if their counts differ."""
        all_counts: dict[str, Counts] = {}
        for name in names:
            if name == OURS:
                seconds, all_counts[name] = self._post(case, partner, body, figures)
            else:
                seconds, all_counts[name] = self._rivals[name].post(partner, body)
            figures[case, name].append(seconds)
        if any(counts != all_counts[OURS] for counts in all_counts.values()):
            raise RuntimeError(f"{case}: the counts of the servers differ: {all_counts}")

    def _post(self, case: str, partner: str, body: bytes, figures: Figures) -> tuple[float, Counts]:
        """Sends a batch to the service, and then measures its floors, which write the same rows."""
        server, before = self._ours.server, self._floor.newest_commit()
        server.reset_peak()
        seconds, counts = self._ours.post(partner, body)
        figures[case, PEAK].append(server.memory("VmHWM") - self._idle)
        figures[case, BODY].append(len(body) / MIB)
        if case == IDENTICAL:
            figures[case, FLOOR].append(self._floor.body(body))
        else:
            figures[case, FLOOR].append(self._floor.rows(before))
            figures[case, ALL_ROWS].append(self._floor.all_rows(before, body))
        return seconds, counts


def _report(report: Report, engine: str, count: int, figures: Figures) -> None:
    goals = count >= GOALS_FROM
    floor_at_most, rate_at_least = (FLOOR_AT_MOST[engine], RATE_AT_LEAST[engine]) if goals else ({}, {})
    for case in CASES:
        ours, at_most = figures[case, OURS], floor_at_most.get(case)
        floor = BODY_ONLY if case == IDENTICAL else RAW_ROWS
        report.add(Compared(case, "s", floor, ours, figures[case, FLOOR], at_most=at_most, size=count))
        if case != IDENTICAL:
            report.add(Compared(case, "s", RAW_ALL, ours, figures[case, ALL_ROWS], size=count))
        for name, shown_name in BATCH_RIVALS[engine].items():
            if theirs := figures.get((case, name)):
                rates = _rates(count, ours), _rates(count, theirs)
                at_least = rate_at_least.get(name, {}).get(case)
                report.add(Compared(case, "per s", shown_name, *rates, at_least=at_least, size=count))
        peaks, at_most = (figures[case, PEAK], figures[case, BODY]), MEMORY_AT_MOST if goals else None
        report.add(Compared(f"{case}: peak above idle", "MiB", "the body", *peaks, at_most=at_most, size=count))
    both = figures[REPLACED, OURS], figures[CREATED, OURS]
    report.add(Compared(REPLACED, "s", "creating as many offers", *both, size=count))


def _rates(count: int, times: Sequence[float]) -> list[float]:
    return [count / seconds for seconds in times]
