"""How long does a large Synchronize take over HTTP, and how much memory, beside raw writes and beside rivals?

A new partner's offers are created, sent again as they are, sent with every second one changed, and replaced by others. In every
pair each of that is done by the service, by its floor (see benchmarks/floors.py) and by a rival, one after the other; for the next
pair there is a new partner, and whoever was last begins. All of them so work beside what earlier partners have sent. A rival that
answers with other counts ends it.

The library used plainly has no part in batches larger than it carries out in a minute or so.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks.engines.engine import Engine
from benchmarks.fill.offers import anew, batch, offers
from benchmarks.floors.raw_batch import Floor, floor_of
from benchmarks.reporting.comparison import PAIRS, Compared
from benchmarks.reporting.report import Report
from benchmarks.servers.contenders import PLAIN, RIVALS, UPSERT, Contender, Counts, rival, service
from benchmarks.servers.server_process import MIB

CREATED, IDENTICAL, HALF_CHANGED, REPLACED = CASES = ("created", "identical", "half changed", "replaced")
OURS, FLOOR, ALL_ROWS, PEAK, BODY = "ours", "floor", "all rows", "peak", "body"
RAW_ROWS = "raw write of the rows"
RAW_ALL = "all rows and body, raw"
BODY_ONLY = "body in, split, written"
FLOOR_AT_MOST = {CREATED: 2.5, IDENTICAL: 2.0}
RIVALS_AT_LEAST = {(CREATED, UPSERT): 8.0, (CREATED, PLAIN): 12.0}
REPLACED_AT_MOST = MEMORY_AT_MOST = 2.0
GOALS_FROM = 100_000
"""Offers: in smaller batches, what any request costs weighs too much."""
MOST_PLAIN = {"sqlite": 100_000, "postgresql": 10_000}
WARM_UP, WARM_UP_OFFERS = "warm-up", 100

Found = defaultdict[tuple[str, str], list[float]]
"""By case and who: seconds, and MiB of memory, of one pair after the other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, nargs="+", default=(10_000, 100_000), help="per batch (10000 100000)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"({PAIRS})")
    most = ", ".join(f"{most} on {engine}" for engine, most in MOST_PLAIN.items())
    parser.add_argument("--most-plain", type=int, help=f"offers that the library used plainly is given ({most})")


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    most_plain = MOST_PLAIN[engine.name] if options.most_plain is None else options.most_plain
    report.note(f"Batches larger than {most_plain:,} offers are not given to {RIVALS[PLAIN]}.\n")
    partners = [WARM_UP, *(partner_of(count, pair) for count in options.offers for pair in range(options.pairs))]
    with ExitStack() as running:
        ours = running.enter_context(service(engine, "batches", partners))
        rivals = {name: running.enter_context(rival(engine, name)) for name in RIVALS}
        taken = _Taken(ours, rivals, running.enter_context(floor_of(engine, ours.ledger)))
        report.head()
        for count in options.offers:
            _tell(report, count, taken.pairs(count, options.pairs, without=PLAIN if count > most_plain else None))


def partner_of(count: int, pair: int) -> str:
    return f"partner-{count}-{pair}"


class _Taken:
    """Batches by all who take them."""

    def __init__(self, ours: Contender, rivals: Mapping[str, Contender], floor: Floor) -> None:
        self._ours, self._rivals, self._floor = ours, rivals, floor
        for one in (ours, *rivals.values()):
            one.post(WARM_UP, batch("Synchronize", offers(WARM_UP_OFFERS)))
        time.sleep(2)
        self._idle = ours.server.memory("VmRSS")

    def pairs(self, count: int, pairs: int, without: str | None) -> Found:
        bodies = {
            CREATED: (created := batch("Synchronize", offers(count))),
            IDENTICAL: created,
            HALF_CHANGED: batch("Synchronize", offers(count, changed_share=0.5)),
            REPLACED: batch("Synchronize", offers(count, "p")),
        }
        names = [name for name in (OURS, *self._rivals) if name != without]
        found: Found = defaultdict(list)
        for number in range(pairs):
            first = number % len(names)
            for case, body in bodies.items():
                self._pair(case, partner_of(count, number), anew(body), names[first:] + names[:first], found)
        return found

    def _pair(self, case: str, partner: str, body: bytes, names: Sequence[str], found: Found) -> None:
        """Raises RuntimeError if not all come to the same."""
        told: dict[str, Counts] = {}
        for name in names:
            if name == OURS:
                seconds, told[name] = self._post(case, partner, body, found)
            else:
                seconds, told[name] = self._rivals[name].post(partner, body)
            found[case, name].append(seconds)
        if any(counts != told[OURS] for counts in told.values()):
            raise RuntimeError(f"{case}: not all come to the same: {told}")

    def _post(self, case: str, partner: str, body: bytes, found: Found) -> tuple[float, Counts]:
        """To ourselves; the floor comes after it, for only then there are rows."""
        server, before = self._ours.server, self._floor.newest_commit()
        server.forget_peak()
        seconds, counts = self._ours.post(partner, body)
        found[case, PEAK].append(server.memory("VmHWM") - self._idle)
        found[case, BODY].append(len(body) / MIB)
        if case == IDENTICAL:
            found[case, FLOOR].append(self._floor.body(body))
        else:
            found[case, FLOOR].append(self._floor.rows(before))
            found[case, ALL_ROWS].append(self._floor.all_rows(before, body))
        return seconds, counts


def _tell(report: Report, count: int, found: Found) -> None:
    goals = count >= GOALS_FROM
    for case in CASES:
        ours, at_most = found[case, OURS], FLOOR_AT_MOST.get(case) if goals else None
        beside = BODY_ONLY if case == IDENTICAL else RAW_ROWS
        report.add(Compared(case, "s", beside, ours, found[case, FLOOR], at_most=at_most, size=count))
        if case != IDENTICAL:
            report.add(Compared(case, "s", RAW_ALL, ours, found[case, ALL_ROWS], size=count))
        for name, told in RIVALS.items():
            if theirs := found.get((case, name)):
                rates = _rates(count, ours), _rates(count, theirs)
                at_least = RIVALS_AT_LEAST.get((case, name)) if goals else None
                report.add(Compared(case, "per s", told, *rates, at_least=at_least, size=count))
        peaks, at_most = (found[case, PEAK], found[case, BODY]), MEMORY_AT_MOST if goals else None
        report.add(Compared(f"{case}: peak above idle", "MiB", "the body", *peaks, at_most=at_most, size=count))
    both = found[REPLACED, OURS], found[CREATED, OURS]
    at_most = REPLACED_AT_MOST if goals else None
    report.add(Compared(REPLACED, "s", "our own created", *both, at_most=at_most, size=count))


def _rates(count: int, taken: Sequence[float]) -> list[float]:
    return [count / seconds for seconds in taken]
