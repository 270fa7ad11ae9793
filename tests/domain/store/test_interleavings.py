"""Does a follower see every position, once and in order, however small transactions are interleaved?

Several write at once: some hold their transaction open before they have a place in the ledger, or after, and some give it up then.
OFFER_LEDGER_TEST_COMMITS says how many commits; OFFER_LEDGER_TEST_SEED repeats the choices, though not their interleaving.
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

from eventsourcing.persistence import StoredEvent

from api.settings import Settings
from domain.store.commit import CommitContext
from domain.store.factory import open_database
from domain.store.recorder import LedgerRecorder
from tests.support.engine import only_postgres

COMMITS = int(os.environ.get("OFFER_LEDGER_TEST_COMMITS", "1000"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
WRITERS, FOLLOWERS = 6, 3
MOST_EVENTS, MOST_READ = 4, 40
LONGEST_SECONDS = 0.005
SELDOM = 0.1


class GivenUpError(Exception):
    """A transaction that is rolled back."""


class Followed(NamedTuple):
    """Until where, and a digest of all that was seen."""

    position: int
    digest: str


@contextmanager
def a_recorder(settings: Settings) -> Iterator[LedgerRecorder]:
    """With connections of its own, as in a process of its own."""
    recorder = LedgerRecorder(open_database(settings.database_location))
    recorder.prepare_schema(())
    yield recorder
    recorder.close()


def write(settings: Settings, chance: random.Random, commits: int) -> int:
    """So many commits, and some that are given up; answers how many events are there by them."""
    events, done = 0, 0
    with a_recorder(settings) as recorder:
        while done < commits:
            count = chance.randint(1, MOST_EVENTS)
            with suppress(GivenUpError):
                write_one(recorder, chance, count)
                events += count
                done += 1
    return events


def write_one(recorder: LedgerRecorder, chance: random.Random, count: int) -> None:
    """With the ledger's lock from its start, or from where its place is taken."""

    def hesitate() -> None:
        if chance.random() < SELDOM:
            time.sleep(chance.uniform(0, LONGEST_SECONDS))
        if chance.random() < SELDOM:
            raise GivenUpError

    with chance.choice([recorder.write, recorder.bulk_write])() as tx:
        commit = recorder.begin_commits(tx, [CommitContext()])
        commit.append([(0, StoredEvent(uuid4(), 1, "OfferResumed", uuid4().bytes)) for _ in range(count)])
        hesitate()
        commit.seal()
        hesitate()


def follow(settings: Settings, chance: random.Random, is_over: threading.Event) -> Followed:
    """Until nothing has come since everybody has written. Whoever passes a position, or sees one again, fails here."""
    digest = hashlib.sha256()
    position = 0
    with a_recorder(settings) as recorder:
        while True:
            ends = is_over.is_set()
            seen = look(recorder, position, chance)
            assert [place for place, *_ in seen] == list(range(position + 1, position + 1 + len(seen)))
            for one in seen:
                digest.update(repr(one).encode())
            position += len(seen)
            if ends and not seen:
                return Followed(position, digest.hexdigest())
            if not seen:
                time.sleep(chance.uniform(0, LONGEST_SECONDS))


def look(recorder: LedgerRecorder, after: int, chance: random.Random) -> list[tuple[Any, ...]]:
    """What comes next, read in one of the two ways that there are."""
    limit = chance.randint(1, MOST_READ)
    if chance.random() < SELDOM:
        seen = recorder.select_notifications(after + 1, limit)
        return [(one.id, one.originator_version, one.topic, one.state) for one in seen]
    with recorder.read() as tx:
        entries = recorder.select_entries(tx, after, limit)
    return [(one.position, one.version, one.topic, one.state) for one in entries]


@only_postgres
def test_no_follower_skips_a_position_or_sees_one_twice(settings: Settings) -> None:
    print(f"OFFER_LEDGER_TEST_SEED={SEED}")
    is_over = threading.Event()
    with a_recorder(settings), ThreadPoolExecutor(WRITERS + FOLLOWERS) as pool:
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
