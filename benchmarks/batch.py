"""How long does a large Synchronize take over HTTP, how much memory, and what do readers notice?

The floor of each case is a raw SQLite write of the same rows, in one transaction, as durable as the ledger's: the events
that the run added and a row of the inventory for each offer that it touched. The floor of a run that adds nothing is a
raw write of its body.
"""

import argparse
import os
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2

from api.auth import digest_secret
from api.problems import BATCH_PATH
from api.settings import Settings
from api.wiring import open_service
from benchmarks.offers import batch, offers
from benchmarks.serving import MIB, Server, reading
from domain.partner import SetPartner
from domain.token import CreateToken
from domain.values import Origin, Role, Source

PARTNER, SENDER, READER = "tidepool", "the sender's", "the reader's"
WATCHED = "/api/v1/offers?limit=10"
IDLE_SECONDS = 3.0
BODY_CHUNK = 4 * MIB


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks batch", description=__doc__)
    parser.add_argument("--offers", type=int, default=100_000, help="offers per batch (100000)")
    count = parser.parse_args(arguments).offers
    with tempfile.TemporaryDirectory() as directory:
        _run(Path(directory), count)


def _run(directory: Path, count: int) -> None:
    settings = Settings(database_url=f"sqlite:///{directory}/ledger.db", max_items=max(count, 200_000))
    _prepare(settings)
    environment = os.environ | {
        "OFFER_LEDGER_DATABASE_URL": settings.database_url,
        "OFFER_LEDGER_MAX_ITEMS": str(settings.max_items),
        "OFFER_LEDGER_MAX_BODY_BYTES": str(1024 * MIB),
        "OFFER_LEDGER_WAIT_SECONDS": "3600",
    }
    cases = {
        "created": offers(count),
        "identical": offers(count),
        "half changed": offers(count, changed_share=0.5),
        "replaced": offers(count, "p"),
    }
    print(f"{count:,} offers by Synchronize over HTTP; sqlite {sqlite3.sqlite_version}, synchronous=FULL\n")
    print(f"{'case':14}{'body':>9}{'run':>9}{'floor':>9}{'ratio':>8}{'peak above idle':>18}   a GET meanwhile")
    with Server(environment, directory / "serve.log") as server:
        time.sleep(2)
        idle = server.memory("VmRSS")
        with reading(server.url, READER, WATCHED) as latency:
            time.sleep(IDLE_SECONDS)
        print(f"{'(idle)':67}   {latency}")
        for name, items in cases.items():
            _measure(server, settings, name, batch("Synchronize", items), idle)


def _measure(server: Server, settings: Settings, name: str, body: bytes, idle: float) -> None:
    server.forget_peak()
    before = _newest_commit(settings)
    headers = {"Authorization": f"ApiToken {SENDER}", "Content-Type": "application/json"}
    with reading(server.url, READER, WATCHED) as latency:
        started = time.perf_counter()
        reply = httpx2.post(server.url + BATCH_PATH, content=body, headers=headers, timeout=3600)
        seconds = time.perf_counter() - started
    reply.raise_for_status()
    peak = server.memory("VmHWM") - idle
    floor = _floor(settings, before, body)
    size = len(body) / MIB
    print(
        f"{name:14}{size:6.0f} MB{seconds:7.2f} s{floor:7.2f} s{seconds / floor:8.1f}"
        f"{peak:9.0f} MB = {peak / size:.1f}x   {latency}"
    )


def _prepare(settings: Settings) -> None:
    operator = Origin("benchmark", Source.CLI)
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), operator)
        sender = CreateToken("sender", Role.PARTNER, PARTNER, digest_secret(SENDER), 0, None)
        reader = CreateToken("reader", Role.AUDITOR, None, digest_secret(READER), 0, None)
        service.ledger.handle(sender, operator)
        service.ledger.handle(reader, operator)


def _newest_commit(settings: Settings) -> int:
    with sqlite3.connect(settings.database) as ledger:
        newest: int = ledger.execute("SELECT max(commit_id) FROM commits").fetchone()[0]
    ledger.close()
    return newest


def _floor(settings: Settings, before: int, body: bytes) -> float:
    """Seconds for a raw write of what the commits after `before` hold, or of the body if there are none."""
    ledger = sqlite3.connect(settings.database)
    events = ledger.execute("SELECT * FROM events WHERE commit_id > ? ORDER BY ordinal", (before,)).fetchall()
    rows = ledger.execute("SELECT * FROM inventory WHERE updated_commit > ?", (before,)).fetchall()
    schema = [
        row[0] for row in ledger.execute("SELECT sql FROM sqlite_master WHERE tbl_name IN ('events', 'inventory')")
    ]
    ledger.close()
    with tempfile.TemporaryDirectory(dir=settings.database.parent) as directory:
        raw = sqlite3.connect(f"{directory}/raw.db", isolation_level=None)
        for statement in (
            "PRAGMA page_size=8192",
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            *filter(None, schema),
        ):
            raw.execute(statement)
        raw.execute("CREATE TABLE body (chunk BLOB)")
        started = time.perf_counter()
        raw.execute("BEGIN IMMEDIATE")
        if events:
            raw.executemany(f"INSERT INTO events VALUES ({_marks(events[0])})", events)
            raw.executemany(f"INSERT INTO inventory VALUES ({_marks(rows[0])})", rows)
        else:
            chunks = ((body[at : at + BODY_CHUNK],) for at in range(0, len(body), BODY_CHUNK))
            raw.executemany("INSERT INTO body VALUES (?)", chunks)
        raw.execute("COMMIT")
        seconds = time.perf_counter() - started
        raw.close()
    return seconds


def _marks(row: tuple[object, ...]) -> str:
    return ", ".join("?" * len(row))
