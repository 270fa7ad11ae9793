"""What does it cost to ask how a ledger of a million offers was at any moment, and what has happened in it?

Two ledgers stand beside each other, a tenth and a whole, and take turns with each question and with its floor, round after
round, so that whatever else the machine does hits all of them. Everything is asked inside this process, by what the service's
routes and commands call. What goes through all events runs in a process of its own, where its memory is seen.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from api.settings import Settings
from api.wiring import open_service
from benchmarks.as_of_events import EventQuestions
from benchmarks.as_of_fill import Past, fill
from benchmarks.as_of_offers import GROUPS
from benchmarks.as_of_questions import Ask, OfferQuestions, Question, Section
from benchmarks.as_of_whole import FLOOR, TASKS, Took, go_through
from benchmarks.engines import Engine
from benchmarks.report import Report
from benchmarks.serving import Latency

ROUNDS = 5
MOST_TURNS = 40
"""In a round, if there is the time for them."""


class Asked(NamedTuple):
    """What a question has come to."""

    found: int
    taken: Latency
    floor: Latency

    @property
    def ratio(self) -> float:
        return self.taken.p50 / self.floor.p50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=_count, nargs=2, default=(100_000, 1_000_000), help="of both (100000 1000000)")
    parser.add_argument("--seconds", type=float, default=2, help="for each question and its floor, of each ledger (2)")
    parser.add_argument("--directory", type=Path, help="where the ledgers lie, and stay to be used again")
    parser.add_argument("--rounds", type=int, default=2, help="of going through all events, or 0 (2)")


def _count(told: str) -> int:
    """Every group has as many offers, and some of them are changed by runs."""
    count, groups = int(told), len(GROUPS)
    if count < 2 * groups or count % groups:
        raise argparse.ArgumentTypeError(f"{count} is no multiple of {groups} from {2 * groups} on")
    return count


def run(engine: Engine, options: argparse.Namespace, _report: Report) -> None:
    with ExitStack() as opened:
        both = [opened.enter_context(_asking(engine, count)) for count in options.offers]
        _tell_head(options.offers)
        for small, large in zip(*both, strict=False):
            _tell_section(small)
            for pair in zip(small.questions, large.questions, strict=False):
                _tell(pair[0].name, *_compare(pair, options.seconds / ROUNDS))
        if options.rounds:
            ledgers = [_ledger(engine, count) for count in options.offers]
            _tell_whole(*(_go_through(ledger, options.rounds) for ledger in ledgers))


def _ledger(engine: Engine, offers: int) -> Settings:
    return engine.ledger(f"offers_{offers}")


@contextmanager
def _asking(engine: Engine, offers: int) -> Iterator[Iterator[Section]]:
    ledger = _ledger(engine, offers)
    past = _past(engine, ledger, offers)
    with open_service(ledger) as service:
        yield chain(OfferQuestions(service, past), EventQuestions(service, past))


def _past(engine: Engine, ledger: Settings, offers: int) -> Past:
    """Of a ledger that is filled, if that has not been done before."""
    told = engine.folder / f"offers_{offers}.json"
    if told.exists():
        return msgspec.json.decode(told.read_bytes(), type=Past)
    started = time.perf_counter()
    past = fill(ledger, offers)
    engine.settle(ledger)
    seconds, size = time.perf_counter() - started, engine.megabytes(ledger)
    print(f"a ledger with {past.offers:,} offers, {past.events:,} events: {seconds:.0f} s, {size:.0f} MB", flush=True)
    told.write_bytes(msgspec.json.encode(past))
    return past


# Asking


def _compare(questions: Sequence[Question], seconds: float) -> list[Asked]:
    asked = [Asked(question.ask(1), Latency(), Latency()) for question in questions]
    for number in range(ROUNDS):
        for question, into in zip(questions, asked, strict=True):
            _ask(question.floor, number, seconds, into.floor)
            _ask(question.ask, number, seconds, into.taken)
    return asked


def _ask(ask: Ask, number: int, seconds: float, latency: Latency) -> None:
    began = now = time.perf_counter()
    for turn in range(MOST_TURNS):
        if turn and now > began + seconds:
            break
        ask(number * MOST_TURNS + turn)
        before, now = now, time.perf_counter()
        latency.milliseconds.append((now - before) * 1000)


def _go_through(ledger: Settings, rounds: int) -> dict[str, Took]:
    """All tasks in turn, round after round; of each, the quickest time."""
    took = [(task, go_through(ledger, task)) for _ in range(rounds) for task in TASKS]
    return {task: min((one for name, one in took if name == task), key=lambda one: one.seconds) for task in TASKS}


# Telling


def _tell_head(offers: Sequence[int]) -> None:
    small, large = (f"{count:,}" for count in offers)
    print("\nmilliseconds, pages of up to 100 items")
    print(f"{'':38}{'items':>16}{'p50':>18}{'':8}{'p99':>18}{'p50 to floor':>18}")
    print(
        f"{'offers':38}{small:>7}{large:>10}{small:>9}{large:>10}{'ratio':>7}{small:>9}{large:>10}{small:>9}{large:>10}"
    )


def _tell_section(section: Section) -> None:
    print(f"\n{section.name}; floor: {section.floor}")


def _tell(name: str, small: Asked, large: Asked) -> None:
    one, other = small.taken, large.taken
    print(
        f"{name:38}{small.found:7}{large.found:10}{one.p50:9.2f}{other.p50:10.2f}{other.p50 / one.p50:6.1f}x"
        f"{one.p99:9.2f}{other.p99:10.2f}{small.ratio:8.1f}x{large.ratio:9.1f}x",
        flush=True,
    )


def _tell_whole(small: dict[str, Took], large: dict[str, Took]) -> None:
    print(f"\nall events; floor: {FLOOR}; memory above that of a process which has answered a page")
    print(f"{'':38}{'s':>16}{'events per s':>18}{'MB':>16}{'to floor':>18}")
    both = small[FLOOR], large[FLOOR]
    print(f"{'events':38}" + f"{both[0].events:>8}{both[1].events:>10}" * 4)
    for task in TASKS:
        one, other = small[task], large[task]
        print(
            f"{task:38}{one.seconds:8.1f}{other.seconds:10.1f}{one.per_second:8.0f}{other.per_second:10.0f}"
            f"{one.peak:8.0f}{other.peak:8.0f}{one.seconds / both[0].seconds:9.1f}x{other.seconds / both[1].seconds:8.1f}x"
        )
