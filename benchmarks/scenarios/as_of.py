"""What does it cost to ask how a ledger of a million offers was at any moment, and what has happened in it?

Each question takes turns with what stands beside it: mostly the same about the present. Everything is asked inside this process,
by what the service's routes and commands call; a figure is the median of the askings of a turn, in milliseconds.
"""

import argparse
from itertools import chain

from api.wiring import open_service
from benchmarks.clients.query_client import Turns, add_seconds
from benchmarks.engines.engine import Engine
from benchmarks.fill.long_history import Past, fill
from benchmarks.fill.saved_ledgers import add_directory, filled
from benchmarks.reporting.comparison import PAIRS, Compared, in_turn
from benchmarks.reporting.report import Report
from benchmarks.scenarios.as_of_events import event_questions
from benchmarks.scenarios.as_of_offers import GROUPS
from benchmarks.scenarios.as_of_queries import offer_questions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=_count, nargs="+", default=(100_000, 1_000_000), help="(100000 1000000)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"({PAIRS})")
    add_seconds(parser)
    add_directory(parser)


def _count(told: str) -> int:
    """Every group has as many offers, and some of them are changed by runs."""
    number, groups = int(told), len(GROUPS)
    if number < 2 * groups or number % groups:
        raise argparse.ArgumentTypeError(f"{number} is no multiple of {groups} from {2 * groups} on")
    return number


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    for offers in options.offers:
        _ask_all(engine, offers, options, report)


def _ask_all(engine: Engine, offers: int, options: argparse.Namespace, report: Report) -> None:
    ledger, past = filled(engine, f"offers_{offers}", Past, lambda ledger: fill(ledger, offers))
    report.head()
    with open_service(ledger) as service:
        for question in chain(offer_questions(service, past), event_questions(service, past)):
            sides = [Turns(ask, options.seconds) for ask in (question.ask, question.floor)]
            taken = in_turn(sides[0].milliseconds, sides[1].milliseconds, options.pairs)
            report.add(
                Compared(
                    question.name, "ms", question.heartbeat_write, *taken, at_most=question.at_most, size=past.offers
                )
            )
