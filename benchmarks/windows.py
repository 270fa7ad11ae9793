"""Is a ledger with a hundred times as many redemption windows still as quick to answer?

Two ledgers stand beside each other, a small one and a large one, each with a server of its own. They take turns with each
question, round after round, so that whatever else the machine does hits both. A question is asked inside this process, where
it is what the database and the projection cost, and over HTTP, where it is what a caller waits.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from api.settings import Settings
from api.wiring import open_service
from benchmarks.engines import Engine, environment
from benchmarks.report import Report
from benchmarks.serving import Latency, Server
from benchmarks.windows_fill import Past, fill
from benchmarks.windows_questions import Ask, Question, Questions

ROUNDS = 5
MOST_TURNS = 40
"""In a round, if there is the time for them."""
LEAST_TURNS = 2


class Asked(NamedTuple):
    """What a question has come to."""

    found: int
    inside: Latency
    outside: Latency


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--windows", type=int, nargs=2, default=(10_000, 1_000_000), help="of both (10000 1000000)")
    parser.add_argument("--per-commit", type=int, default=20_000, help="activations at most (20000)")
    parser.add_argument("--seconds", type=float, default=4, help="for each question, of each ledger and door (4)")
    parser.add_argument("--directory", type=Path, help="where the ledgers lie, and stay to be used again")


def run(engine: Engine, options: argparse.Namespace, _report: Report) -> None:
    with ExitStack() as opened:
        both = [opened.enter_context(_asking(engine, count, options.per_commit)) for count in options.windows]
        _tell_head(options.windows)
        for small, large in zip(*both, strict=True):
            _tell(small.name, *_compare((small, large), options.seconds / ROUNDS))


@contextmanager
def _asking(engine: Engine, windows: int, per_commit: int) -> Iterator[Questions]:
    name = f"windows_{windows}"
    ledger = engine.ledger(name)
    past = _past(engine, ledger, windows, per_commit)
    log = engine.folder / f"{name}.log"
    with open_service(ledger) as service, Server(environment(ledger), log) as server:
        questions = Questions(service, server.url, past)
        yield questions
        questions.close()


def _past(engine: Engine, ledger: Settings, windows: int, per_commit: int) -> Past:
    """Of a ledger that is filled, if that has not been done before."""
    told = engine.folder / f"windows_{windows}.json"
    if told.exists():
        return msgspec.json.decode(told.read_bytes(), type=Past)
    started = time.perf_counter()
    past = fill(ledger, windows, per_commit)
    engine.settle(ledger)
    seconds, size = time.perf_counter() - started, engine.megabytes(ledger)
    print(f"a ledger with {windows:,} windows: made in {seconds:.0f} s, {size:.0f} MB", flush=True)
    told.write_bytes(msgspec.json.encode(past))
    return past


# Asking


def _compare(questions: Sequence[Question], seconds: float) -> list[Asked]:
    asked = [Asked(_found(question), Latency(), Latency()) for question in questions]
    for number in range(ROUNDS):
        for question, into in zip(questions, asked, strict=True):
            _ask(question.inside, number, seconds, into.inside)
            _ask(question.outside, number, seconds, into.outside)
    return asked


def _found(question: Question) -> int:
    """How many items; raises RuntimeError if they are not as many over HTTP."""
    inside, outside = question.inside(1), question.outside(1)
    if inside != outside:
        raise RuntimeError(f"{question.name}: {inside} items inside, {outside} over HTTP")
    return inside


def _ask(ask: Ask, number: int, seconds: float, latency: Latency) -> None:
    began = now = time.perf_counter()
    for turn in range(MOST_TURNS):
        if turn >= LEAST_TURNS and now > began + seconds:
            break
        ask(number * MOST_TURNS + turn)
        before, now = now, time.perf_counter()
        latency.milliseconds.append((now - before) * 1000)


# Telling


def _tell_head(windows: Sequence[int]) -> None:
    print("\nmilliseconds, pages of up to 100 items")
    print(f"{'':34}{'items':>14}" + "".join(f"{door + ': p50':>22}{'':6}{'p99':>18}" for door in ("inside", "HTTP")))
    small, large = (f"{count:,}" for count in windows)
    print(f"{'windows':34}{small:>7} {large:>9}" + f"{small:>11}{large:>11}{'ratio':>8}{small:>8}{large:>10}" * 2)


def _tell(name: str, small: Asked, large: Asked) -> None:
    line = f"{name:34}{small.found:7} {large.found:9}"
    for one, other in ((small.inside, large.inside), (small.outside, large.outside)):
        line += f"{one.p50:11.2f}{other.p50:11.2f}{other.p50 / one.p50:7.1f}x{one.p99:8.2f}{other.p99:10.2f}"
    print(line, flush=True)
