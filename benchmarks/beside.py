"""How long do others wait while one partner's large batch is carried out?

Another partner puts single offers, one after the other, while the server has nothing else to do and while it carries out a
batch of one partner: its offers are created, and then each is changed. Beside that, somebody takes the ledger's lock over and
over and gives it back at once; the longest that took is how long the batch has held it, where everyone who records anything
waits.
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from api.auth import digest_secret
from api.wiring import Service, open_service
from benchmarks.batch import send, serving_large_batches
from benchmarks.engines import Engine
from benchmarks.offers import batch, offers
from benchmarks.sending import client_meanwhile
from benchmarks.serving import Latency, Server
from domain.ledger import OfferLedger
from domain.partner import SetPartner
from domain.token import CreateToken
from domain.values import Origin, Role, Source

LARGE, SINGLE = "tidepool", "kelp"
"""Partners; their names are their secrets."""
IDLE_SECONDS = 5.0
LOOKS_EVERY_SECONDS = 0.005
BENCHMARK = Origin("benchmark", Source.CLI)


class Waited(NamedTuple):
    """By those who put offers, and by who takes the lock."""

    puts: Latency
    lock: Latency


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, default=100_000, help="offers per batch (100000)")


def run(engine: Engine, options: argparse.Namespace) -> None:
    count, ledger = options.offers, engine.ledger("beside")
    print(f"PUTs of another partner beside a batch of {count:,} offers (Insert), over HTTP; ratios are to no batch\n")
    print(f"{'batch':14}{'took':>10}{'PUTs':>8}{'p50':>12}{'p99':>12}{'most':>12}{'held lock':>15}")
    with open_service(ledger) as service, Server(serving_large_batches(ledger, count), engine.folder / "log") as server:
        _prepare(service)
        alone = _measure(service, server, 0, lambda: time.sleep(IDLE_SECONDS))
        _tell("(none)", alone[0], alone[1])
        for number, (name, changed) in enumerate({"all created": 0.0, "all changed": 1.0}.items(), start=1):
            body = batch("Insert", offers(count, changed_share=changed))
            seconds, waited = _measure(service, server, number, partial(send, server, LARGE, body))
            _tell(name, seconds, waited)
            _tell_ratios(waited, alone[1])


def _measure(service: Service, server: Server, number: int, work: Callable[[], object]) -> tuple[float, Waited]:
    """How many seconds the work takes, and what others wait meanwhile."""
    with (
        taking_lock(service.ledger) as lock,
        client_meanwhile("benchmarks.put_client", server.url, SINGLE, number) as milliseconds,
    ):
        started = time.perf_counter()
        work()
        seconds = time.perf_counter() - started
    return seconds, Waited(Latency(milliseconds), lock)


@contextmanager
def taking_lock(ledger: OfferLedger) -> Iterator[Latency]:
    """Over and over while the block runs, every few milliseconds, and gives it back at once."""
    latency, ended = Latency(), threading.Event()

    def take() -> None:
        while not ended.wait(LOOKS_EVERY_SECONDS):
            started = time.perf_counter()
            with ledger.recorder.writing():
                latency.milliseconds.append((time.perf_counter() - started) * 1000)

    taker = threading.Thread(target=take)
    taker.start()
    try:
        yield latency
    finally:
        ended.set()
        taker.join()


def _prepare(service: Service) -> None:
    for partner in (LARGE, SINGLE):
        limits = SetPartner(partner, synchronize_per_day=0, insert_per_hour=0, rps=0, daily_quota=0)
        service.ledger.handle(limits, BENCHMARK)
        token = CreateToken(partner, Role.PARTNER, partner, digest_secret(partner), 0, None)
        service.ledger.handle(token, BENCHMARK)


def _tell(name: str, seconds: float, waited: Waited) -> None:
    puts = waited.puts
    times = "".join(f"{one:9.1f} ms" for one in (puts.p50, puts.p99, puts.most))
    print(f"{name:14}{seconds:8.2f} s{len(puts.milliseconds):8}{times}{waited.lock.most:12.1f} ms", flush=True)


def _tell_ratios(waited: Waited, alone: Waited) -> None:
    times = "".join(f"{getattr(waited.puts, one) / getattr(alone.puts, one):12.1f}" for one in ("p50", "p99", "most"))
    print(f"{'  ratio':14}{'':18}{times}", flush=True)
