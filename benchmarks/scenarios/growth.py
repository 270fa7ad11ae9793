"""Does it cost more the more there is? Batches from a hundred offers on, and small work in a ledger that is full of them.

In every pair, a new partner creates offers by Synchronize, so many and then ten times as many, and so on; each beside a raw write
of the same rows. Time has to grow as offers do: an offer of the larger batch may cost little more than one of the smaller. Then
two servers stand beside each other, one with a ledger that is full of one partner's offers, the other with one that has nearly
none, and take turns: an Insert of a thousand new offers by that partner, and single offers of it, one after the other.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.clients.load_client import run_client
from benchmarks.engines.engine import Engine
from benchmarks.fill.offers import batch, offers
from benchmarks.floors.raw_batch import floor_of
from benchmarks.reporting.comparison import PAIRS, Compared, in_turn
from benchmarks.reporting.report import Report
from benchmarks.scenarios.batch import RAW_ROWS, WARM_UP, WARM_UP_OFFERS, partner_of
from benchmarks.servers.contenders import Contender, service
from benchmarks.servers.server_process import Latency

OFFERS = (100, 1_000, 10_000, 100_000)
LARGEST = 1_000_000
PER_OFFER_AT_MOST, FULL_AT_MOST = 1.25, 1.5
PARTNER = "tidepool"
FULL, FILLED_AT_ONCE = 1_000_000, 100_000
INSERTED, INSERTS = 1_000, 3
"""Offers, and batches in a turn."""
PUT_SECONDS = 2.0

Taken = dict[int, tuple[list[float], list[float]]]
"""By the number of offers: seconds of ours and of the floor, pair by pair."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, nargs="+", default=OFFERS, help=f"per batch {OFFERS}")
    parser.add_argument("--largest", action="store_true", help=f"a batch of {LARGEST:,}, too (takes much memory)")
    parser.add_argument("--full", type=int, default=FULL, help=f"offers of the full ledger, or 0 for none ({FULL})")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"({PAIRS})")


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    counts = sorted({*options.offers, *((LARGEST,) if options.largest else ())})
    report.head()
    _tell_created(report, _create(engine, counts, options.pairs))
    if options.full:
        _compare_full(engine, options.full, options.pairs, report)


def _create(engine: Engine, counts: Sequence[int], pairs: int) -> Taken:
    partners = [partner_of(count, pair) for count in counts for pair in range(pairs)]
    taken: Taken = {count: ([], []) for count in counts}
    with (
        service(engine, "growing", [WARM_UP, *partners]) as growing,
        floor_of(engine, growing.ledger) as floor,
    ):
        growing.post(WARM_UP, batch("Synchronize", offers(WARM_UP_OFFERS)))
        for pair in range(pairs):
            for count, (ours, theirs) in taken.items():
                before = floor.newest_commit()
                ours.append(growing.post(partner_of(count, pair), batch("Synchronize", offers(count)))[0])
                theirs.append(floor.rows(before))
    return taken


def _tell_created(report: Report, taken: Taken) -> None:
    for count, (ours, theirs) in taken.items():
        report.add(Compared("created", "s", RAW_ROWS, ours, theirs, size=count))
    for smaller, larger in zip(taken, [*taken][1:], strict=False):
        each = [[seconds / count * 1e6 for seconds in taken[count][0]] for count in (larger, smaller)]
        report.add(
            Compared("created: each", "us", f"of {smaller:,} offers", each[0], each[1], PER_OFFER_AT_MOST, size=larger)
        )


class _Filled:
    """A server whose ledger has some of a partner's offers already."""

    def __init__(self, contender: Contender, offers_there: int) -> None:
        self._contender, self._rounds = contender, 0
        for first in range(0, offers_there, FILLED_AT_ONCE):
            self._insert(min(FILLED_AT_ONCE, offers_there - first))

    def inserts(self) -> float:
        """How many milliseconds an Insert of new offers takes."""
        return sum(self._insert(INSERTED) for _ in range(INSERTS)) / INSERTS * 1000

    def puts(self) -> float:
        """How many milliseconds one takes, mostly."""
        self._rounds += 1
        url = self._contender.server.url
        told = run_client("benchmarks.clients.put_client", url, PARTNER, self._rounds, 1, PUT_SECONDS)
        return Latency(told["milliseconds"]).p50

    def _insert(self, count: int) -> float:
        """Raises RuntimeError if they were not new."""
        self._rounds += 1
        seconds, counts = self._contender.post(PARTNER, batch("Insert", offers(count, f"o-{self._rounds}")))
        if counts["created"] != count:
            raise RuntimeError(f"{count} offers were sent, and {counts['created']} created")
        return seconds


def _compare_full(engine: Engine, full: int, pairs: int, report: Report) -> None:
    with ExitStack() as running:
        filled = []
        for name, there in (("full", full), ("nearly_empty", 0)):
            contender = running.enter_context(service(engine, name, [PARTNER]))
            filled.append(_Filled(contender, there))
            engine.settle(contender.ledger)
            filled[-1].inserts()
        beside = "a ledger of nearly none"
        for case, ask in (
            (f"Insert of {INSERTED:,}, ledger of", _Filled.inserts),
            ("PUT: p50, ledger of", _Filled.puts),
        ):
            found = in_turn(partial(ask, filled[0]), partial(ask, filled[1]), pairs)
            report.add(Compared(case, "ms", beside, *found, FULL_AT_MOST, size=full))
