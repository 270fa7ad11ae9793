"""Projections can be made again beside the live ones: nobody waits, nothing is mixed, and what was wrong is mended and told."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, count
from uuid import uuid4

import pytest

from domain.access.partner import SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.events import EVENT_TYPES, Event, FlightScheduled, OfferPaused
from domain.ledgers.ledger import CommitKinds, Entry, OfferLedger
from domain.store.commit import CommitContext, current_head
from domain.store.cursor import Cursor, Index, index_of
from domain.store.mapper import UnreadableEvent
from domain.values import Channel, OfferKey, Role
from projections.maintenance import rebuild as rebuilding
from projections.maintenance.rebuild import FENCE, RebuildIncomplete, RebuildOvertaken, rebuild
from projections.maintenance.shadow_tables import RETIRED, SHADOW, RenamingCursor
from projections.maintenance.table_diff import DIFFERENCES_SHOWN
from projections.maintenance.verification import verify
from projections.projection import Projection
from projections.projector import PROJECTIONS, ProjectionReplay
from tests.support.engine import only_sqlite
from tests.support.examples import ACTIVATED, EVERY_OFFER_EVENT, PARTNER, REDEEMED, REFUSED, REVERSED
from tests.support.harness import OPERATOR, record
from tests.support.table_contents import change_by_hand, rows

FLIGHT = FlightScheduled(ACTIVATED.offer_uid, ACTIVATED.activated_at, 30)
BY_NAME = {projection.name: projection for projection in PROJECTIONS}


@pytest.fixture
def eventful(ledger: OfferLedger, monkeypatch: pytest.MonkeyPatch) -> OfferLedger:
    """Every kind of event is in it, and it is read in many chunks."""
    monkeypatch.setattr("domain.ledgers.ledger.ENTRIES_PER_READ", 7)
    for number in range(5):
        record(ledger, OfferKey(PARTNER, Channel.MERCHANT, "M", f"offer {number}"), *EVERY_OFFER_EVENT)
        others: list[list[Event]] = [[FLIGHT], [ACTIVATED], [REFUSED, REDEEMED, REVERSED]]
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
    """What is indexed, whatever the indexes are called."""
    with ledger.recorder.read() as tx:
        tables = sorted(tx.dialect.table_names(tx))
        return sorted(
            index_of(statement)[1] for table in tables for statement in tx.dialect.index_statements(tx, table)
        )


def rows_of(ledger: OfferLedger, table: str) -> list[tuple[object, ...]]:
    with ledger.recorder.read() as tx:
        return [tuple(row) for row in tx.execute(f"SELECT * FROM {table}")]


def at_each_step(then: Callable[[int], None]) -> Callable[[int, int], None]:
    """A Watch that does something after every chunk."""
    steps = count()
    return lambda _done, _total: then(next(steps))


def bring_an_offer(ledger: OfferLedger) -> None:
    record(ledger, OfferKey(PARTNER, Channel.MERCHANT, "M", uuid4().hex), *EVERY_OFFER_EVENT)


# What comes out


def test_these_rebuilds_meet_every_kind_of_event_that_changes_a_projection(eventful: OfferLedger) -> None:
    with eventful.recorder.read() as tx:
        met = {type(entry.event) for entries in eventful.entries(tx) for entry in entries}
    assert met >= {kind for projection in PROJECTIONS for kind in projection.events}


def test_the_rows_are_the_same_and_nothing_is_left_over(eventful: OfferLedger) -> None:
    before, tables = rows(eventful), table_names(eventful)
    done = rebuild(eventful)
    assert (rows(eventful), table_names(eventful)) == (before, tables)
    assert (done.rebuilt, done.differences) == (list(BY_NAME), [])
    assert verify(eventful) == []


def test_every_entry_is_replayed_and_it_is_told_how_many(eventful: OfferLedger) -> None:
    told: list[tuple[int, int]] = []
    position = rebuild(eventful, lambda done, total: told.append((done, total))).position
    assert told[-1] == (position, position)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert position == eventful.recorder.max_notification_id()


def test_no_projection_reaches_for_a_table_that_is_live(eventful: OfferLedger) -> None:
    before = rows(eventful)
    change_by_hand(eventful, *(f"DROP TABLE {name}" for name in BY_NAME))
    done = rebuild(eventful)
    assert (rows(eventful), done.differences) == (before, [])


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_a_projections_name_is_not_that_of_a_column(ledger: OfferLedger, projection: Projection) -> None:
    with ledger.recorder.write() as tx:
        RenamingCursor(tx, PROJECTIONS).execute(projection.table)
        dialect = tx.dialect
        live, shadow = (dialect.columns(tx, dialect.live, f"{prefix}{projection.name}") for prefix in ("", SHADOW))
    assert live == shadow


def test_what_a_projection_reads_stands_before_it() -> None:
    names = list(BY_NAME)
    for place, projection in enumerate(PROJECTIONS):
        assert set(projection.reads) <= set(names[:place])


def test_no_projection_is_called_like_what_is_thrown_away() -> None:
    assert not [name for name in BY_NAME if name.startswith((SHADOW, RETIRED))]


def test_after_several_rebuilds_every_index_is_there_once(eventful: OfferLedger) -> None:
    before = indexes(eventful)
    for _ in range(3):
        rebuild(eventful)
        assert indexes(eventful) == before


@only_sqlite
def test_what_looks_at_a_table_looks_at_the_new_one(eventful: OfferLedger) -> None:
    change_by_hand(
        eventful,
        "CREATE VIEW paused AS SELECT * FROM inventory WHERE status = 'paused'",
        "CREATE VIEW broken AS SELECT * FROM nowhere",
        "UPDATE inventory SET status = 'paused'",
    )
    rebuild(eventful)
    with eventful.recorder.read() as tx:
        assert tx.execute("SELECT * FROM paused").fetchall() == []


# Mending


def test_what_was_changed_by_hand_is_mended_and_told(eventful: OfferLedger) -> None:
    before = rows(eventful)
    change_by_hand(eventful, "DELETE FROM inventory WHERE offer_id = 2", "UPDATE tokens SET role = 'operator'")
    done = rebuild(eventful)
    assert rows(eventful) == before
    assert {difference.where.split()[0] for difference in done.differences} == {"inventory", "tokens"}
    assert done.differences[0].found is None
    assert (done.differences[1].found, done.differences[1].expected) == ({"role": "operator"}, {"role": "auditor"})


@only_sqlite
def test_differences_are_told_up_to_a_bound(eventful: OfferLedger) -> None:
    change_by_hand(
        eventful,
        "INSERT INTO tokens SELECT value + 1000, 'z' || value, 'auditor', NULL, 'z' || value, 0, NULL, 1, NULL"
        f" FROM json_each('{list(range(50))}')",
    )
    assert len(rebuild(eventful).differences) == DIFFERENCES_SHOWN
    assert verify(eventful) == []


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE tokens", "ALTER TABLE tokens DROP COLUMN revoked_commit", "ALTER TABLE tokens ADD COLUMN more TEXT"],
)
def test_a_table_that_is_not_there_or_is_another_is_new(eventful: OfferLedger, statement: str) -> None:
    before = rows(eventful)
    change_by_hand(eventful, statement)
    assert [difference.where for difference in verify(eventful)] == ["tokens"]
    assert rebuild(eventful).differences == []
    assert rows(eventful) == before


def test_an_event_that_was_deleted_by_hand_makes_no_other_count_twice(eventful: OfferLedger) -> None:
    change_by_hand(eventful, "DELETE FROM events WHERE topic = 'TokenRevoked'")
    rebuild(eventful)
    wrong = [difference.where for difference in verify(eventful)]
    assert wrong
    assert all(where.startswith("commit ") for where in wrong)


# Only some


def test_only_the_chosen_ones_are_rebuilt(eventful: OfferLedger) -> None:
    change_by_hand(eventful, "DELETE FROM inventory", "DELETE FROM tokens")
    done = rebuild(eventful, projections=[BY_NAME["tokens"]])
    assert done.rebuilt == ["tokens"]
    assert {difference.where.split()[0] for difference in verify(eventful)} == {"inventory"}


def test_what_is_read_must_be_there(ledger: OfferLedger) -> None:
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


def test_a_projection_may_read_another_that_is_rebuilt_with_it_or_is_live(eventful: OfferLedger) -> None:
    change_by_hand(eventful, "UPDATE inventory SET partner = 'nobody'")
    rebuild(eventful, projections=[PAUSES])
    assert rows_of(eventful, "pauses") == [("nobody", 5)]
    done = rebuild(eventful, projections=[BY_NAME["inventory"], PAUSES])
    assert rows_of(eventful, "pauses") == [(PARTNER, 5)]
    assert {difference.where.split()[0] for difference in done.differences} == {"inventory", "pauses"}


# While others write


def test_what_is_recorded_between_the_chunks_is_in_it(eventful: OfferLedger) -> None:
    done = rebuild(eventful, at_each_step(lambda step: bring_an_offer(eventful) if step < 3 else None))
    assert verify(eventful) == []
    assert (done.position, done.differences) == (eventful.recorder.max_notification_id(), [])


@contextmanager
def commits_first(ledger: OfferLedger, reading: Callable[[], AbstractContextManager[Cursor]]) -> Iterator[Cursor]:
    bring_an_offer(ledger)
    with reading() as tx:
        yield tx


def test_nothing_seems_to_differ_however_much_is_written(
    eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.ledgers.ledger.ENTRIES_PER_READ", 1000)
    change_by_hand(eventful, "UPDATE tokens SET role = 'operator' WHERE name = 'token 1'")
    looks: list[int] = []
    recorder = eventful.recorder
    reading = recorder.read
    compare = rebuilding._Rebuilding.compare

    def compare_while_others_write(self: rebuilding._Rebuilding) -> object:
        def read() -> AbstractContextManager[Cursor]:
            looks.append(1)
            return commits_first(eventful, reading)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recorder, "read", read)
            return compare(self)

    monkeypatch.setattr(rebuilding._Rebuilding, "compare", compare_while_others_write)
    (difference,) = rebuild(eventful).differences
    assert len(looks) == rebuilding.LOOKS
    assert difference.where.startswith("tokens ")
    assert verify(eventful) == []


def test_the_write_lock_is_free_between_the_chunks(eventful: OfferLedger) -> None:
    positions: list[int] = []

    def write(_step: int) -> None:
        with eventful.recorder.write() as tx:
            positions.append(current_head(tx).position)

    rebuild(eventful, at_each_step(write))
    assert len(positions) > 5


# What goes wrong


def test_a_rebuild_that_fails_leaves_everything_as_it_was(eventful: OfferLedger) -> None:
    before, tables = rows(eventful), table_names(eventful)
    change_by_hand(eventful, "UPDATE events SET state = 'not JSON' WHERE topic = 'TokenRevoked'")
    with pytest.raises(UnreadableEvent):
        rebuild(eventful)
    assert (rows(eventful), table_names(eventful)) == (before, tables)


def test_what_a_dead_rebuild_has_left_is_thrown_away(eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    before, tables = rows(eventful), table_names(eventful)

    class Died(BaseException):
        pass

    def die(step: int) -> None:
        if step == 3:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding._Rebuilding, "clear_away", lambda _: None)
        with pytest.raises(Died):
            rebuild(eventful, at_each_step(die))
        change_by_hand(
            eventful, f"CREATE TABLE {RETIRED}tokens (x INTEGER)", f"CREATE TABLE {SHADOW}one_of_old (x INTEGER)"
        )
    assert len(table_names(eventful)) == len(tables) + len(PROJECTIONS) + 3
    assert (rows(eventful), verify(eventful)) == (before, [])
    rebuild(eventful)
    assert (rows(eventful), table_names(eventful)) == (before, tables)


def test_a_rebuild_that_died_after_the_switch_leaves_its_indexes_to_nobody(
    eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = indexes(eventful)
    with monkeypatch.context() as patch:
        patch.setattr(rebuilding._Rebuilding, "clear_away", lambda _: None)
        rebuild(eventful)
    rebuild(eventful)
    assert indexes(eventful) == before


# Two at once


@pytest.mark.parametrize("step", [0, 1, 5])
def test_of_two_rebuilds_the_later_one_wins(eventful: OfferLedger, step: int) -> None:
    before, tables = rows(eventful), table_names(eventful)
    later: list[rebuilding.Rebuilt] = []
    with pytest.raises(RebuildOvertaken):
        rebuild(eventful, at_each_step(lambda now: later.append(rebuild(eventful)) if now == step else None))
    assert later[0].differences == []
    assert (rows(eventful), table_names(eventful)) == (before, tables)
    assert verify(eventful) == []


def test_an_overtaken_rebuild_writes_nothing_into_the_later_ones_tables(eventful: OfferLedger) -> None:
    before, tables = rows(eventful), table_names(eventful)
    rebuilds = [rebuilding._Rebuilding(eventful, lambda _done, _total: None, PROJECTIONS) for _ in range(2)]
    for one in rebuilds:
        one.begin()
    earlier, later = rebuilds
    for step in (earlier.follow, earlier.make_indexes, earlier.compare, earlier.switch, earlier.clear_away):
        with pytest.raises(RebuildOvertaken):
            step()
    assert list(chain(*(rows_of(eventful, f"{SHADOW}{name}") for name in BY_NAME))) == []
    later.follow()
    later.switch()
    later.clear_away()
    assert (rows(eventful), table_names(eventful)) == (before, tables)


def test_a_rebuild_that_has_switched_is_done_whoever_begins_then(
    eventful: OfferLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = table_names(eventful)
    clear_away = rebuilding._Rebuilding.clear_away

    def another_begins(self: rebuilding._Rebuilding) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(rebuilding._Rebuilding, "clear_away", clear_away)
            rebuild(eventful)
        clear_away(self)

    monkeypatch.setattr(rebuilding._Rebuilding, "clear_away", another_begins)
    assert rebuild(eventful).differences == []
    assert table_names(eventful) == tables
    assert FENCE not in tables
    assert verify(eventful) == []


# A projection that is told of entries, and of commits too


def apply_notes(tx: Cursor, entries: Sequence[Entry]) -> None:
    tx.executemany("INSERT INTO notes (note) VALUES (?)", ((f"entry {entry.commit_id}",) for entry in entries))


def gather_notes(tx: Cursor, kinds: CommitKinds) -> list[tuple[int, int, int]]:
    noted = tx.execute("SELECT count(*) FROM notes").fetchone()[0]
    return [(commit_id, len(some), noted) for commit_id, some in kinds.items()]


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
def test_entries_and_commits_are_told_in_the_same_order_as_they_were_recorded(ledger: OfferLedger) -> None:
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
        told = [Entry(n, ordinal, 1, ordinal + 1, FLIGHT) for n in range(3) for ordinal in range(n + 1)]
        for some in (told[:2], told[2:]):
            replay.project(tx, some)
        replay.seal(tx)
        assert [row["note"] for row in tx.execute("SELECT note FROM notes ORDER BY note_id")] == live
