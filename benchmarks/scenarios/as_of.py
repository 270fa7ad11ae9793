"""Measure queries of past states, diffs and event lists, on a ledger with a long history.

The baseline of most queries is the same query of the present state; both are measured in turns. The benchmark calls
the functions behind the routes in its own process. A figure is the median latency of the queries of a round, in
milliseconds.
"""

import argparse
from itertools import chain

from api.wiring import open_service
from benchmarks.clients.query_client import QueryRounds, add_seconds
from benchmarks.engines.engine import Engine
from benchmarks.fill.long_history import Past, fill
from benchmarks.fill.saved_ledgers import add_directory, filled
from benchmarks.queries.as_of_events import event_queries
from benchmarks.queries.as_of_offers import GROUPS
from benchmarks.queries.as_of_queries import offer_queries
from benchmarks.reporting.comparison import PAIRS, PAIRS_HELP, Compared, measure_in_turns
from benchmarks.reporting.report import Report

OFFERS_HELP = f"Offers of each ledger; one or more multiples of {len(GROUPS)}. Default: 100000 1000000."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=_count, nargs="+", default=(100_000, 1_000_000), help=OFFERS_HELP)
    parser.add_argument("--pairs", type=int, default=PAIRS, help=PAIRS_HELP)
    add_seconds(parser)
    add_directory(parser)


def _count(text: str) -> int:
    """Parses a number of offers. Every group has the same number, at least two: runs change some of them."""
    number, groups = int(text), len(GROUPS)
    if number < 2 * groups or number % groups:
        raise argparse.ArgumentTypeError(f"must be a multiple of {groups}, at least {2 * groups}: {number}")
    return number


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    for offers in options.offers:
        _measure_all(engine, offers, options, report)


def _measure_all(engine: Engine, offers: int, options: argparse.Namespace, report: Report) -> None:
    ledger, past = filled(engine, f"offers_{offers}", Past, lambda ledger: fill(ledger, offers))
    report.head()
    with open_service(ledger) as service:
        for query in chain(offer_queries(service, past), event_queries(service, past)):
            sides = [QueryRounds(execute, options.seconds) for execute in (query.execute, query.execute_baseline)]
            figures = measure_in_turns(sides[0].milliseconds, sides[1].milliseconds, options.pairs)
            report.add(Compared(query.name, "ms", query.baseline, *figures, at_most=query.at_most, size=past.offers))
