"""Measure how the time grows with the size of a batch and with the size of the ledger.

In each pair, new partners create offers by Synchronize, in batches that are ten times as large each time. Each batch
is compared with a raw write of its rows. The time should grow linearly: an offer of a larger batch should cost little
more than an offer of a smaller one. After that, a full ledger is compared with a nearly empty one, each with its own
server: an Insert of a thousand new offers, and PUTs of single offers.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.clients.load_client import run_client
from benchmarks.engines.engine import Engine
from benchmarks.fill.offers import batch, offers
from benchmarks.floors.raw_batch import floor_of
from benchmarks.reporting.comparison import PAIRS, PAIRS_HELP, Compared, measure_in_turns
from benchmarks.reporting.report import Report
from benchmarks.scenarios.batch import RAW_ROWS, WARM_UP, WARM_UP_OFFERS, partner_of
from benchmarks.servers.contenders import Contender, run_service
from benchmarks.servers.server_process import Latency

OFFERS = (100, 1_000, 10_000, 100_000)
OFFERS_HELP = f"Offers of each batch; one or more sizes. Default: {' '.join(map(str, OFFERS))}."
LARGEST = 1_000_000
PER_OFFER_AT_MOST, FULL_AT_MOST = 1.25, 1.5
PARTNER = "tidepool"
FULL, FILLED_AT_ONCE = 1_000_000, 100_000
INSERTED, INSERTS = 1_000, 3
"""Offers of an Insert, and Inserts of a round."""
PUT_SECONDS = 2.0

CreationTimes = dict[int, tuple[list[float], list[float]]]
"""Seconds of the service and of the floor for each pair, by the number of offers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, nargs="+", default=OFFERS, help=OFFERS_HELP)
    parser.add_argument(
        "--largest", action="store_true", help=f"Add a batch of {LARGEST:,} offers. It needs much memory."
    )
    parser.add_argument(
        "--full", type=int, default=FULL, help=f"Offers of the full ledger. 0: no full ledger. Default: {FULL}."
    )
    parser.add_argument("--pairs", type=int, default=PAIRS, help=PAIRS_HELP)


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    counts = sorted({*options.offers, *((LARGEST,) if options.largest else ())})
    report.head()
    _report_created(report, _create(engine, counts, options.pairs))
    if options.full:
        _compare_full(engine, options.full, options.pairs, report)


def _create(engine: Engine, counts: Sequence[int], pairs: int) -> CreationTimes:
    partners = [partner_of(count, pair) for count in counts for pair in range(pairs)]
    times: CreationTimes = {count: ([], []) for count in counts}
    with (
        run_service(engine, "growing", [WARM_UP, *partners]) as growing,
        floor_of(engine, growing.ledger) as floor,
    ):
        growing.post(WARM_UP, batch("Synchronize", offers(WARM_UP_OFFERS)))
        for pair in range(pairs):
            for count, (ours, theirs) in times.items():
                before = floor.newest_commit()
                ours.append(growing.post(partner_of(count, pair), batch("Synchronize", offers(count)))[0])
                theirs.append(floor.rows(before))
    return times


def _report_created(report: Report, times: CreationTimes) -> None:
    for count, (ours, theirs) in times.items():
        report.add(Compared("created", "s", RAW_ROWS, ours, theirs, size=count))
    for smaller, larger in zip(times, [*times][1:], strict=False):
        ours, theirs = ([seconds / count * 1e6 for seconds in times[count][0]] for count in (larger, smaller))
        baseline = f"batch of {smaller:,} offers"
        report.add(Compared("created: per offer", "us", baseline, ours, theirs, PER_OFFER_AT_MOST, size=larger))


class _FilledServer:
    """A server whose ledger is filled with offers of a partner."""

    def __init__(self, contender: Contender, count: int) -> None:
        self._contender, self._rounds = contender, 0
        for first in range(0, count, FILLED_AT_ONCE):
            self._insert(min(FILLED_AT_ONCE, count - first))

    def inserts(self) -> float:
        """Returns the mean milliseconds of an Insert of new offers."""
        return sum(self._insert(INSERTED) for _ in range(INSERTS)) / INSERTS * 1000

    def puts(self) -> float:
        """Returns the median milliseconds of a PUT."""
        self._rounds += 1
        url = self._contender.server.url
        result = run_client("benchmarks.clients.put_client", url, PARTNER, self._rounds, 1, PUT_SECONDS)
        return Latency(result["milliseconds"]).p50

    def _insert(self, count: int) -> float:
        """Inserts new offers and returns the seconds. Raises RuntimeError if some were not created."""
        self._rounds += 1
        seconds, counts = self._contender.post(PARTNER, batch("Insert", offers(count, f"o-{self._rounds}")))
        if counts["created"] != count:
            raise RuntimeError(f"{count} offers sent, {counts['created']} created")
        return seconds


def _compare_full(engine: Engine, full: int, pairs: int, report: Report) -> None:
    with ExitStack() as running:
        servers = []
        for name, count in (("full", full), ("nearly_empty", 0)):
            contender = running.enter_context(run_service(engine, name, [PARTNER]))
            servers.append(_FilledServer(contender, count))
            engine.settle(contender.ledger)
            servers[-1].inserts()
        for case, measure in (
            (f"Insert of {INSERTED:,}, ledger of", _FilledServer.inserts),
            ("PUT: p50, ledger of", _FilledServer.puts),
        ):
            figures = measure_in_turns(partial(measure, servers[0]), partial(measure, servers[1]), pairs)
            report.add(Compared(case, "ms", "a nearly empty ledger", *figures, FULL_AT_MOST, size=full))
