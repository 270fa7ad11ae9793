"""Followers see every position once and in order while several writers commit small transactions.

Some writers pause before or after their commit is sealed, and some roll back there. OFFER_LEDGER_TEST_COMMITS sets the number of
commits. OFFER_LEDGER_TEST_SEED repeats the random choices, but not their interleaving.
"""

import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import uuid4

from api.settings import Settings
from domain.store.commit import CommitContext, NewEvent
from domain.store.factory import open_database
from domain.store.recorder import LedgerRecorder
from domain.store.stored_events import select_entries
from tests.support.engine import only_postgres

COMMITS = int(os.environ.get("OFFER_LEDGER_TEST_COMMITS", "1000"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
WRITERS, FOLLOWERS = 6, 3
MAX_EVENTS, MAX_READ = 4, 40
MAX_PAUSE_SECONDS = 0.005
PROBABILITY = 0.1


class RollbackError(Exception):
    """Rolls back a transaction on purpose."""


class Followed(NamedTuple):
    """The last position that a follower has read, and a digest of all events."""

    position: int
    digest: str


@contextmanager
def open_recorder(settings: Settings) -> Iterator[LedgerRecorder]:
    """Opens a recorder with separate connections, like another process."""
    recorder = LedgerRecorder(open_database(settings.database_location))
    recorder.prepare_schema(())
    yield recorder
    recorder.close()


def write(settings: Settings, chance: random.Random, commits: int) -> int:
    """Writes a number of commits, and rolls some others back. Returns the number of committed events."""
    events, done = 0, 0
    with open_recorder(settings) as recorder:
        while done < commits:
            count = chance.randint(1, MAX_EVENTS)
            with suppress(RollbackError):
                write_one(recorder, chance, count)
                events += count
                done += 1
    return events


def write_one(recorder: LedgerRecorder, chance: random.Random, count: int) -> None:
    """Writes one commit, either with the ledger lock from the start or from `seal` on."""

    def pause_or_roll_back() -> None:
        if chance.random() < PROBABILITY:
            time.sleep(chance.uniform(0, MAX_PAUSE_SECONDS))
        if chance.random() < PROBABILITY:
            raise RollbackError

    with chance.choice([recorder.write, recorder.bulk_write])() as tx:
        commit = recorder.begin_commits(tx, [CommitContext()])
        commit.append([(0, NewEvent(uuid4().bytes, 1, "OfferResumed", uuid4().bytes)) for _ in range(count)])
        pause_or_roll_back()
        commit.seal()
        pause_or_roll_back()


def follow(settings: Settings, chance: random.Random, is_over: threading.Event) -> Followed:
    """Reads until all writers are done and there is nothing new. Fails if a position is skipped or repeated."""
    digest = hashlib.sha256()
    position = 0
    with open_recorder(settings) as recorder:
        while True:
            writers_done = is_over.is_set()
            events = read_next(recorder, position, chance)
            assert [event[0] for event in events] == list(range(position + 1, position + 1 + len(events)))
            for event in events:
                digest.update(repr(event).encode())
            position += len(events)
            if writers_done and not events:
                return Followed(position, digest.hexdigest())
            if not events:
                time.sleep(chance.uniform(0, MAX_PAUSE_SECONDS))


def read_next(recorder: LedgerRecorder, after: int, chance: random.Random) -> list[tuple[Any, ...]]:
    """Returns the next events, read either as notifications or as entries."""
    limit = chance.randint(1, MAX_READ)
    if chance.random() < PROBABILITY:
        notifications = recorder.select_notifications(after + 1, limit)
        return [(n.id, n.originator_version, n.topic, n.state) for n in notifications]
    with recorder.read() as tx:
        entries = select_entries(tx, after, limit)
    return [(entry.position, entry.version, entry.topic, entry.state) for entry in entries]


@only_postgres
def test_followers_see_each_position_once(settings: Settings) -> None:
    print(f"OFFER_LEDGER_TEST_SEED={SEED}")
    is_over = threading.Event()
    with open_recorder(settings), ThreadPoolExecutor(WRITERS + FOLLOWERS) as pool:
        followers = [
            pool.submit(follow, settings, random.Random(f"{SEED} follower {n}"), is_over) for n in range(FOLLOWERS)
        ]
        shares = [len(range(n, COMMITS, WRITERS)) for n in range(WRITERS)]
        writers = [
            pool.submit(write, settings, random.Random(f"{SEED} writer {n}"), share) for n, share in enumerate(shares)
        ]
        try:
            written = sum(writer.result() for writer in writers)
        finally:
            is_over.set()
        followed = [follower.result() for follower in followers]
    last = follow(settings, random.Random(SEED), is_over)
    print(f"{COMMITS} commits, {written} events, {FOLLOWERS} followers")
    assert last.position == written
    assert followed == [last] * FOLLOWERS
