"""Rebuilds beside the live tables: writers continue, two rebuilds do not mix, and differences are repaired and
reported."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, count
from uuid import uuid4

import pytest

from domain.access.partner import SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.events import EVENT_TYPES, Event, FlightScheduled, OfferHeld, OfferPaused, OfferReleased
from domain.ledgers.ledger import CommitKinds, Entry, OfferLedger
from domain.store.commit import CommitContext, current_head
from domain.store.cursor import Cursor, Index, parse_index
from domain.store.mapper import UnreadableEvent
from domain.values import Channel, OfferKey, Role
from projections.maintenance import rebuild as rebuilding
from projections.maintenance.rebuild import REBUILD_MARKER, RebuildIncomplete, RebuildOvertaken, rebuild
from projections.maintenance.shadow_tables import RETIRED_PREFIX, SHADOW_PREFIX, RenamingCursor
from projections.maintenance.table_diff import MAX_DIFFERENCES
from projections.maintenance.verification import verify
from projections.projection import Projection
from projections.projector import PROJECTIONS, ProjectionReplay
from tests.support.engine import only_sqlite
from tests.support.examples import ACTIVATED, EVERY_OFFER_EVENT, PARTNER, REDEEMED, REFUSED, REVERSED
from tests.support.harness import OPERATOR, record
from tests.support.table_contents import change_by_hand, projection_rows

FLIGHT = FlightScheduled(ACTIVATED.offer_uid, ACTIVATED.activated_at, 30)
BY_NAME = {projection.name: projection for projection in PROJECTIONS}


@pytest.fixture
def eventful(ledger: OfferLedger, monkeypatch: pytest.MonkeyPatch) -> OfferLedger:
    """A ledger with events of every type, which a rebuild reads in many chunks."""
    monkeypatch.setattr("domain.ledgers.ledger.ENTRIES_PER_READ", 7)
    for number in range(5):
        key = OfferKey(PARTNER, Channel.MERCHANT, "M", f"offer {number}")
        record(ledger, key, *EVERY_OFFER_EVENT)
        holds: list[Event] = [
            OfferHeld(offer_uid=str(key.offer_uid), until=1),
            OfferReleased(offer_uid=str(key.offer_uid)),
        ]
        others: list[list[Event]] = [[FLIGHT], holds, [ACTIVATED], [REFUSED, REDEEMED, REVERSED]]
        with ledger.recorder.write() as tx:
            ledger.commit(tx, CommitContext(OPERATOR), [(uuid4(), 0, events) for events in others])
        ledger.handle(CreateToken(f"token {number}", Role.AUDITOR, None, f"{number}", 0, None), OPERATOR)
    ledger.handle(RevokeToken("token 1"), OPERATOR)
    ledger.handle(SetPartner(PARTNER, rps=7), OPERATOR)
    return ledger


def table_names(ledger: OfferLedger) -> list[str]:
    with ledger.recorder.read() as tx:
        return sorted(tx.dialect.table_names(tx))


def indexes(ledger: OfferLedger) -> list[Index]:
    """Returns the definitions of all indexes, without their names."""
    with ledger.recorder.read() as tx:
        tables = sorted(tx.dialect.table_names(tx))
        return sorted(
            parse_index(statement)[1] for table in tables for statement in tx.dialect.index_statements(tx, table)
        )


def rows_of(ledger: OfferLedger, table: str) -> list[tuple[object, ...]]:
    with ledger.recorder.read() as tx:
        return [tuple(row) for row in tx.execute(f"SELECT * FROM {table}")]


def at_each_step(action: Callable[[int], None]) -> Callable[[int, int], None]:
    """Returns a progress callback that calls `action` with the number of the chunk."""
    steps = count()
    return lambda _done, _total: action(next(steps))


def record_an_offer(ledger: OfferLedger) -> None:
    record(ledger, OfferKey(PARTNER, Channel.MERCHANT, "M", uuid4().hex), *EVERY_OFFER_EVENT)


# Results


def test_eventful_ledger_has_every_event_that_changes_projections(eventful: OfferLedger) -> None:
    with eventful.recorder.read() as tx:
        types = {type(entry.event) for entries in eventful.entries(tx) for entry in entries}
    assert types >= {kind for projection in PROJECTIONS for kind in projection.events}


def test_rebuild_yields_the_same_rows_and_no_leftovers(eventful: OfferLedger) -> None:
    before, tables = projection_rows(eventful), table_names(eventful)
    result = rebuild(eventful)
    assert (projection_rows(eventful), table_names(eventful)) == (before, tables)
    assert (result.rebuilt, result.differences) == (list(BY_NAME), [])
    assert verify(eventful) == []


def test_rebuild_replays_every_entry_and_reports_progress(eventful: OfferLedger) -> None:
    reports: list[tuple[int, int]] = []
    position = rebuild(eventful, lambda done, total: reports.append((done, total))).position
    assert reports[-1] == (position, position)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert position == eventful.recorder.max_notification_id()


def test_rebuild_does_not_use_live_tables(eventful: OfferLedger) -> None:
    before = projection_rows(eventful)
    change_by_hand(eventful, *(f"DROP TABLE {name}" for name in BY_NAME))
    result = rebuild(eventful)
    assert (projection_rows(eventful), result.differences) == (before, [])


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_projection_name_is_not_a_column_name(ledger: OfferLedger, projection: Projection) -> None:
    with ledger.recorder.write() as tx:
        RenamingCursor(tx, PROJECTIONS).execute(projection.table)
        dialect = tx.dialect
        live, shadow = (
            dialect.columns(tx, dialect.live_prefix, f"{prefix}{projection.name}") for prefix in ("", SHADOW_PREFIX)
        )
    assert live == shadow


def test_projection_follows_the_projections_that_it_reads() -> None:
    names = list(BY_NAME)
    for place, projection in enumerate(PROJECTIONS):
        assert set(projection.reads) <= set(names[:place])


def test_projection_names_have_no_prefix_of_temporary_tables() -> None:
    assert not [name for name in BY_NAME if name.startswith((SHADOW_PREFIX, RETIRED_PREFIX))]


def test_repeated_rebuilds_keep_every_index_once(eventful: OfferLedger) -> None:
    before = indexes(eventful)
    for _ in range(3):
        rebuild(eventful)
        assert indexes(eventful) == before


@only_sqlite
def test_views_read_the_new_table_after_a_rebuild(eventful: OfferLedger) -> None:
    change_by_hand(
        eventful,
        "CREATE VIEW paused AS SELECT * FROM inventory WHERE status = 'paused'",
        "CREATE VIEW broken AS SELECT * FROM nowhere",
        "UPDATE inventory SET status = 'paused'",
    )
    rebuild(eventful)
    with eventful.recorder.read() as tx:
        assert tx.execute("SELECT * FROM paused").fetchall() == []


# Repairs


def test_rebuild_repairs_and_reports_changes_by_hand(eventful: OfferLedger) -> None:
    before = projection_rows(eventful)
    change_by_hand(eventful, "DELETE FROM inventory WHERE offer_id = 2", "UPDATE tokens SET role = 'operator'")
    result = rebuild(eventful)
    assert projection_rows(eventful) == before
    assert {difference.where.split()[0] for difference in result.differences} == {"inventory", "tokens"}
    assert result.differences[0].found is None
    assert (result.differences[1].found, result.differences[1].expected) == ({"role": "operator"}, {"role": "auditor"})


@only_sqlite
def test_rebuild_reports_rows_that_an_index_lacks(eventful: OfferLedger) -> None:
    before = projection_rows(eventful)
    by_position = next(index for index in BY_NAME["event_types"].indexes if "by_position" in index)
    change_by_hand(
        eventful,
        "DROP INDEX event_types_by_position",
        f"{by_position} WHERE type <> 'OfferPaused'",
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET sql = '{by_position}' WHERE name = 'event_types_by_position'",
        "PRAGMA writable_schema = RESET",
    )
    assert {difference.where.split()[1] for difference in rebuild(eventful).differences} == {"type=OfferPaused"}
    assert (projection_rows(eventful), rebuild(eventful).differences) == (before, [])


@only_sqlite
def test_rebuild_limits_the_reported_differences(eventful: OfferLedger) -> None:
    change_by_hand(
        eventful,
        "INSERT INTO tokens SELECT value + 1000, 'z' || value, 'auditor', NULL, 'z' || value, 0, NULL, 1, NULL"
        f" FROM json_each('{list(range(50))}')",
    )
    assert len(rebuild(eventful).differences) == MAX_DIFFERENCES
    assert verify(eventful) == []


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE tokens", "ALTER TABLE tokens DROP COLUMN revoked_commit", "ALTER TABLE tokens ADD COLUMN more TEXT"],
)
def test_missing_or_altered_table_has_no_differences(eventful: OfferLedger, statement: str) -> None:
    before = projection_rows(eventful)
    change_by_hand(eventful, statement)
    assert [difference.where for difference in verify(eventful)] == ["tokens"]
    assert rebuild(eventful).differences == []
    assert projection_rows(eventful) == before


def test_deleted_event_does_not_make_another_count_twice(eventful: OfferLedger) -> None:
    change_by_hand(eventful, "DELETE FROM events WHERE topic = 'TokenRevoked'")
    rebuild(eventful)
    wrong = [difference.where for difference in verify(eventful)]
    assert wrong
    assert all(where.startswith("commit ") for where in wrong)


# Selected projections


def test_only_selected_projections_are_rebuilt(eventful: OfferLedger) -> None:
    change_by_hand(eventful, "DELETE FROM inventory", "DELETE FROM tokens")
    result = rebuild(eventful, projections=[BY_NAME["tokens"]])
    assert result.rebuilt == ["tokens"]
    assert {difference.where.split()[0] for difference in verify(eventful)} == {"inventory"}


def test_rebuild_requires_the_projections_that_it_reads(ledger: OfferLedger) -> None:
    tables = table_names(ledger)
    change_by_hand(ledger, "DROP TABLE inventory")
    with pytest.raises(RebuildIncomplete, match="status_counts reads inventory"):
        rebuild(ledger, projections=[BY_NAME["status_counts"]])
    rebuild(ledger, projections=[BY_NAME["inventory"], BY_NAME["status_counts"]])
    assert table_names(ledger) == tables


def count_pauses(tx: Cursor, entries: Sequence[Entry]) -> None:
    tx.executemany(
        "INSERT INTO pauses SELECT partner, 1 FROM inventory WHERE offer_id = ?"
        " ON CONFLICT (partner) DO UPDATE SET times = pauses.times + 1",
        [(entry.stream_id,) for entry in entries if isinstance(entry.event, OfferPaused)],
    )


PAUSES = Projection(
    name="pauses",
    key=("partner",),
    table="CREATE TABLE pauses (partner TEXT PRIMARY KEY, times INTEGER NOT NULL)",
    apply=count_pauses,
    events=frozenset({OfferPaused}),
    reads=("inventory",),
)


def test_projection_reads_a_live_or_a_rebuilt_projection(eventful: OfferLedger) -> None:
    change_by_hand(eventful, "UPDATE inventory SET partner = 'nobody'")
    rebuild(eventful, projections=[PAUSES])
    assert rows_of(eventful, "pauses") == [("nobody", 5)]
    result = rebuild(eventful, projections=[BY_NAME["inventory"], PAUSES])
    assert rows_of(eventful, "pauses") == [(PARTNER, 5)]
    assert {difference.where.split()[0] for difference in result.differences} == {"inventory", "pauses"}


# While others write


def test_rebuild_includes_events_recorded_between_chunks(eventful: OfferLedger) -> None:
    result = rebuild(eventful, at_each_step(lambda step: record_an_offer(eventful) if step < 3 else None))
    assert verify(eventful) == []
    assert (result.position, result.differences) == (eventful.recorder.max_notification_id(), [])


@contextmanager
def read_after_commit(ledger: OfferLedger, reading: Callable[[], AbstractContextManager[Cursor]]) -> Iterator[Cursor]:
    record_an_offer(ledger)
    with reading() as tx:
        yield tx


def test_concurrent_writes_cause_no_differences(eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.ledgers.ledger.ENTRIES_PER_READ", 1000)
    change_by_hand(eventful, "UPDATE tokens SET role = 'operator' WHERE name = 'token 1'")
    attempts: list[int] = []
    recorder = eventful.recorder
    reading = recorder.read
    compare = rebuilding._Rebuilding.compare

    def compare_while_others_write(self: rebuilding._Rebuilding) -> object:
        def read() -> AbstractContextManager[Cursor]:
            attempts.append(1)
            return read_after_commit(eventful, reading)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recorder, "read", read)
            return compare(self)

    monkeypatch.setattr(rebuilding._Rebuilding, "compare", compare_while_others_write)
    (difference,) = rebuild(eventful).differences
    assert len(attempts) == rebuilding.COMPARE_ATTEMPTS
    assert difference.where.startswith("tokens ")
    assert verify(eventful) == []


def test_write_lock_is_free_between_chunks(eventful: OfferLedger) -> None:
    positions: list[int] = []

    def write(_step: int) -> None:
        with eventful.recorder.write() as tx:
            positions.append(current_head(tx).position)

    rebuild(eventful, at_each_step(write))
    assert len(positions) > 5


# Failures


def test_failed_rebuild_changes_nothing(eventful: OfferLedger) -> None:
    before, tables = projection_rows(eventful), table_names(eventful)
    change_by_hand(eventful, "UPDATE events SET state = 'not JSON' WHERE topic = 'TokenRevoked'")
    with pytest.raises(UnreadableEvent):
        rebuild(eventful)
    assert (projection_rows(eventful), table_names(eventful)) == (before, tables)


def test_rebuild_drops_leftovers_of_a_killed_rebuild(eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    before, tables = projection_rows(eventful), table_names(eventful)

    class Died(BaseException):
        pass

    def die(step: int) -> None:
        if step == 3:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding._Rebuilding, "clean_up", lambda _: None)
        with pytest.raises(Died):
            rebuild(eventful, at_each_step(die))
        change_by_hand(
            eventful,
            f"CREATE TABLE {RETIRED_PREFIX}tokens (x INTEGER)",
            f"CREATE TABLE {SHADOW_PREFIX}one_of_old (x INTEGER)",
        )
    assert len(table_names(eventful)) == len(tables) + len(PROJECTIONS) + 3
    assert (projection_rows(eventful), verify(eventful)) == (before, [])
    rebuild(eventful)
    assert (projection_rows(eventful), table_names(eventful)) == (before, tables)


def test_rebuild_killed_after_the_switch_leaves_no_extra_indexes(
    eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = indexes(eventful)
    with monkeypatch.context() as patch:
        patch.setattr(rebuilding._Rebuilding, "clean_up", lambda _: None)
        rebuild(eventful)
    rebuild(eventful)
    assert indexes(eventful) == before


# Concurrent rebuilds


@pytest.mark.parametrize("step", [0, 1, 5])
def test_later_of_two_rebuilds_wins(eventful: OfferLedger, step: int) -> None:
    before, tables = projection_rows(eventful), table_names(eventful)
    later: list[rebuilding.RebuildResult] = []
    with pytest.raises(RebuildOvertaken):
        rebuild(eventful, at_each_step(lambda number: later.append(rebuild(eventful)) if number == step else None))
    assert later[0].differences == []
    assert (projection_rows(eventful), table_names(eventful)) == (before, tables)
    assert verify(eventful) == []


def test_overtaken_rebuild_does_not_write_to_the_newer_tables(eventful: OfferLedger) -> None:
    before, tables = projection_rows(eventful), table_names(eventful)
    rebuilds = [rebuilding._Rebuilding(eventful, lambda _done, _total: None, PROJECTIONS) for _ in range(2)]
    for each in rebuilds:
        each.start()
    earlier, later = rebuilds
    for step in (earlier.catch_up, earlier.create_indexes, earlier.compare, earlier.switch, earlier.clean_up):
        with pytest.raises(RebuildOvertaken):
            step()
    assert list(chain(*(rows_of(eventful, f"{SHADOW_PREFIX}{name}") for name in BY_NAME))) == []
    later.catch_up()
    later.switch()
    later.clean_up()
    assert (projection_rows(eventful), table_names(eventful)) == (before, tables)


def test_rebuild_succeeds_if_another_starts_after_its_switch(
    eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = table_names(eventful)
    clean_up = rebuilding._Rebuilding.clean_up

    def start_another(self: rebuilding._Rebuilding) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(rebuilding._Rebuilding, "clean_up", clean_up)
            rebuild(eventful)
        clean_up(self)

    monkeypatch.setattr(rebuilding._Rebuilding, "clean_up", start_another)
    assert rebuild(eventful).differences == []
    assert table_names(eventful) == tables
    assert REBUILD_MARKER not in tables
    assert verify(eventful) == []


# A projection with both `apply` and `seal`


def apply_notes(tx: Cursor, entries: Sequence[Entry]) -> None:
    tx.executemany("INSERT INTO notes (note) VALUES (?)", ((f"entry {entry.commit_id}",) for entry in entries))


def gather_notes(tx: Cursor, kinds: CommitKinds) -> list[tuple[int, int, int]]:
    notes = tx.execute("SELECT count(*) FROM notes").fetchone()[0]
    return [(commit_id, len(types), notes) for commit_id, types in kinds.items()]


def seal_notes(tx: Cursor, gathered: Sequence[Sequence[int]]) -> None:
    tx.executemany(
        "INSERT INTO notes (note) SELECT ? || ' after ' || count(*) FROM notes", [(f"{g}",) for g in gathered]
    )


NOTES = Projection(
    name="notes",
    key=("note_id",),
    table="CREATE TABLE notes (note_id INTEGER PRIMARY KEY, note TEXT NOT NULL)",
    apply=apply_notes,
    gather=gather_notes,
    seal=seal_notes,
    events=frozenset(EVENT_TYPES),
)


@only_sqlite
def test_replay_interleaves_entries_and_seals_as_recorded(ledger: OfferLedger) -> None:
    with ledger.recorder.write() as tx:
        tx.execute(NOTES.table)
        for number in range(3):
            events = [FLIGHT] * (number + 1)
            entries = [Entry(number, ordinal, 1, ordinal + 1, event) for ordinal, event in enumerate(events)]
            apply_notes(tx, entries)
            seal_notes(tx, gather_notes(tx, {number: {FlightScheduled}}))
        live = [row["note"] for row in tx.execute("SELECT note FROM notes ORDER BY note_id")]
        tx.execute("DELETE FROM notes")
        replay = ProjectionReplay([NOTES])
        entries = [Entry(n, ordinal, 1, ordinal + 1, FLIGHT) for n in range(3) for ordinal in range(n + 1)]
        for chunk in (entries[:2], entries[2:]):
            replay.project(tx, chunk)
        replay.seal(tx)
        assert [row["note"] for row in tx.execute("SELECT note FROM notes ORDER BY note_id")] == live
