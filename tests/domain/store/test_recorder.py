"""The recorder fulfils the library's contract and the ledger's own guarantees."""

import hashlib
import struct
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent
from eventsourcing.tests.persistence import ApplicationRecorderTestCase

from api.settings import Settings
from domain.store.commit import CommitContext, current_head
from domain.store.cursor import Cursor, Lookup
from domain.store.factory import open_database
from domain.store.recorder import LedgerRecorder
from domain.store.schema import SchemaMismatch
from domain.store.sqlite.driver import connect
from domain.values import Origin, Source, to_microseconds
from tests.support.engine import empty_database, only_sqlite


def open_recorder(settings: Settings) -> LedgerRecorder:
    recorder = LedgerRecorder(open_database(settings.database_location))
    recorder.prepare_schema(())
    return recorder


class TestLibraryContract(ApplicationRecorderTestCase[LedgerRecorder]):
    """The library's test case for application recorders."""

    def create_recorder(self) -> LedgerRecorder:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        recorder = open_recorder(self.enterContext(empty_database(Path(folder))))
        self.addCleanup(recorder.close)
        return recorder


# The library's base class is not itself a test.
del ApplicationRecorderTestCase


@pytest.fixture
def recorder(settings: Settings) -> Iterator[LedgerRecorder]:
    recorder = open_recorder(settings)
    yield recorder
    recorder.close()


def event(uid: UUID, version: int, state: bytes = b"{}") -> StoredEvent:
    return StoredEvent(uid, version, "OfferResumed", state)


def test_reads_that_run_together_have_their_own_results(recorder: LedgerRecorder) -> None:
    position = Lookup("SELECT position FROM head", (), lambda rows: rows[0]["position"])
    no_rows = Lookup("SELECT version FROM schema_version WHERE version = ?", (-1,), len)
    with recorder.write() as tx:
        tx.execute("UPDATE head SET position = 7")
        assert tx.read_together(position, no_rows, position) == [7, 0, 7]
        tx.execute("UPDATE head SET position = 0")


def test_time_of_a_read_is_not_before_its_start(recorder: LedgerRecorder) -> None:
    with recorder.read() as tx:
        first = tx.now()
    with recorder.read() as tx:
        assert tx.now() >= first


def test_positions_are_consecutive_across_commits(recorder: LedgerRecorder) -> None:
    first, second = uuid4(), uuid4()
    assert list(recorder.insert_events([event(first, 1), event(first, 2)])) == [1, 2]
    assert list(recorder.insert_events([event(second, 1)])) == [3]


@pytest.mark.parametrize("versions", [[2], [1, 3], [1, 1], [2, 1]])
def test_stream_rejects_version_gaps_and_duplicates(recorder: LedgerRecorder, versions: list[int]) -> None:
    uid = uuid4()
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(uid, version) for version in versions])


def test_stored_version_is_rejected_in_a_later_commit(recorder: LedgerRecorder) -> None:
    uid = uuid4()
    recorder.insert_events([event(uid, 1), event(uid, 2)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(uid, 2)])


def test_rejected_commit_stores_nothing(recorder: LedgerRecorder) -> None:
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(uuid4(), 1), event(uuid4(), 7)])
    with recorder.read() as tx:
        counts = [
            tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("streams", "commits", "events")
        ]
        assert (counts, current_head(tx).position) == ([0, 0, 0], 0)


def test_other_rows_are_committed_together_with_the_events(recorder: LedgerRecorder) -> None:
    def write(tx: Cursor) -> None:
        recorder.insert_events([event(uuid4(), 1)], transaction=tx)
        tx.execute("INSERT INTO run_bodies VALUES ('alongside', 0, 0, x'')")

    def written() -> tuple[int | None, int]:
        with recorder.read() as tx:
            return recorder.max_notification_id(), tx.execute("SELECT count(*) FROM run_bodies").fetchone()[0]

    def write_and_fail() -> None:
        with recorder.write() as tx:
            write(tx)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert written() == (None, 0)
    with recorder.write() as tx:
        write(tx)
    assert written() == (1, 1)


def test_recorded_times_increase_even_if_the_clock_does_not(recorder: LedgerRecorder) -> None:
    times = [datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)]
    readings = iter(times)
    recorder.clock = lambda: next(readings)
    for _ in times:
        recorder.insert_events([event(uuid4(), 1)])
    first = to_microseconds(times[0])
    with recorder.read() as tx:
        recorded = [row[0] for row in tx.execute("SELECT recorded_at FROM commits ORDER BY first_position")]
    assert recorded == [first, first + 1, first + 2]


def test_settle_rejects_a_time_ahead_of_the_ledger_clock(recorder: LedgerRecorder) -> None:
    with recorder.read() as tx:
        now = recorder.now(tx)
    recorder.wait_until_past(now)
    with pytest.raises(OperationalError, match="clock"):
        recorder.wait_until_past(now + timedelta(minutes=1))


def test_commit_stores_its_context(recorder: LedgerRecorder) -> None:
    run_id = uuid4()
    context = CommitContext(Origin("tide-feed", Source.CUSTOM), "tidepool", run_id)
    recorder.insert_events([event(uuid4(), 1)], context=context)
    with recorder.read() as tx:
        row = tx.execute("SELECT partner, actor, source, run_id, trace_id FROM commits").fetchone()
    assert tuple(row) == ("tidepool", "tide-feed", "custom", str(run_id), None)


def test_commits_form_a_hash_chain(recorder: LedgerRecorder) -> None:
    uid = uuid4()
    recorder.clock = lambda: datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC)
    for version in (1, 2):
        context = CommitContext(Origin("olga", Source.CLI), "tidepool")
        recorder.insert_events([event(uid, version, b'{"a":1}')], context=context)
    chain = b""
    for position in (1, 2):
        events = hashlib.sha256(b"0 %b%d OfferResumed 7\n" % (uid.bytes, position) + b'{"a":1}').hexdigest()
        members = f'{{"actor":"olga","events":"{events}","partner":"tidepool","source":"cli"}}'
        digest = hashlib.sha256(members.encode()).digest()
        chain = hashlib.sha256(chain + digest + struct.pack(">qqq", position, 1, 9_000_000 + position - 1)).digest()
        with recorder.read() as tx:
            row = tx.execute("SELECT digest, chain FROM commits WHERE first_position = ?", (position,)).fetchone()
        assert tuple(row) == (digest, chain)
    with recorder.read() as tx:
        assert tx.execute("SELECT chain FROM head").fetchone()[0] == chain


def test_events_inside_a_large_commit_can_be_read(recorder: LedgerRecorder) -> None:
    uid = uuid4()
    recorder.insert_events([event(uid, version) for version in range(1, 101)])
    recorder.insert_events([event(uuid4(), 1)])
    assert [n.id for n in recorder.select_notifications(99, 10)] == [99, 100, 101]


@only_sqlite
def test_ledger_view_is_readable_with_a_database_shell(recorder: LedgerRecorder, tmp_path: Path) -> None:
    uid = uuid4()
    recorder.clock = lambda: datetime(2026, 11, 22, 12, 30, 0, 42, tzinfo=UTC)
    recorder.insert_events(
        [event(uid, 1, b'{"cause":"x"}')], context=CommitContext(Origin("olga", Source.CLI), "tidepool")
    )
    shell = connect(tmp_path / "ledger.db")
    row = shell.execute("SELECT position, recorded_at, type, stream, version, partner, actor, state FROM ledger")
    assert row.fetchone() == (
        1, "2026-11-22T12:30:00.000042Z", "OfferResumed", str(uid), 1, "tidepool", "olga", '{"cause":"x"}'
    )  # fmt: skip
    shell.close()


def test_database_of_another_schema_version_is_rejected(recorder: LedgerRecorder) -> None:
    with recorder.write() as tx:
        tx.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(SchemaMismatch, match="99"):
        recorder.prepare_schema(())


COMMITS_PER_PROCESS = 40


def _write(settings: Settings) -> None:
    recorder = open_recorder(settings)
    for _ in range(COMMITS_PER_PROCESS):
        uid = uuid4()
        recorder.insert_events([event(uid, 1), event(uid, 2)])
    recorder.close()


def test_concurrent_processes_get_consecutive_positions(settings: Settings) -> None:
    writers = [get_context("spawn").Process(target=_write, args=(settings,), daemon=True) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    recorder = open_recorder(settings)
    positions = [n.id for n in recorder.select_notifications(1, 1_000)]
    recorder.close()
    assert positions == list(range(1, 3 * COMMITS_PER_PROCESS * 2 + 1))
