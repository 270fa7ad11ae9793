"""Verification finds every change by hand, and the projector skips only projections without a table."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Self

import pytest

from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.events import TokenRevoked
from domain.ledgers.ledger import Entry, OfferLedger, StorageError
from domain.store.cursor import Cursor, Lookup
from domain.values import Channel, OfferKey, Operation, Role
from projections import projector
from projections.access import tokens
from projections.maintenance import verification
from projections.maintenance.rebuild import rebuild
from projections.maintenance.table_diff import MAX_DIFFERENCES
from projections.projector import ProjectionSize, Projector
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER, created, item
from tests.support.harness import OPERATOR, Clock, record, run_batch
from tests.support.table_contents import change_by_hand, projection_rows


@pytest.fixture
def stocked(ledger: OfferLedger) -> OfferLedger:
    ledger.handle(CreateToken("books", Role.AUDITOR, None, "00", 0, None), OPERATOR)
    for names in (["a", "b"], ["b", "c"], ["a", "c"]):
        run_batch(ledger, Operation.SYNCHRONIZE, [item(name) for name in names])
    return ledger


def differences(ledger: OfferLedger) -> Sequence[str]:
    return [difference.where for difference in verification.verify(ledger)]


def test_unchanged_ledger_is_valid(stocked: OfferLedger) -> None:
    assert differences(stocked) == []


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE inventory SET status = 'paused' WHERE external_id = 'a'", "inventory offer_id="),
        ("UPDATE inventory SET searched_names = 'x' WHERE external_id = 'a'", "inventory offer_id="),
        ("DELETE FROM inventory WHERE external_id = 'b'", "inventory offer_id="),
        ("INSERT INTO inventory VALUES (99, 'p', 'custom', NULL, 'z', 'active', 1, 1, 'd', NULL, '', '', 1, 1, 1)",
         "inventory offer_id=99"),
        ("UPDATE partners SET insert_per_hour = 7", "partners partner_id="),
        ("UPDATE tokens SET role = 'operator'", "tokens token_id="),
        ("DELETE FROM tokens", "tokens token_id="),
        ("UPDATE head SET position = position + 1", "head"),
        ("UPDATE commits SET first_position = 100 WHERE first_position = 3", "commit "),
        ("DELETE FROM commits WHERE first_position = 2", "commit "),
        ("UPDATE commits SET actor = 'mallory' WHERE first_position = 2", "commit "),
        ("UPDATE commits SET recorded_at = recorded_at + 500000 WHERE first_position = 2", "commit "),
        ("UPDATE events SET ordinal = ordinal + 7 WHERE version = 2", "commit "),
        ("UPDATE head SET recorded_at = recorded_at + 1000000", "head"),
        ("INSERT INTO events VALUES (99, 0, 1, 99, 'OfferResumed', '{}')", "commit 99"),
        ("UPDATE commits SET highest_stream_id = highest_stream_id - 1 WHERE first_position = 3", "commit "),
        ("UPDATE commits SET highest_commit_id = highest_commit_id + 1 WHERE first_position = 2", "commit "),
        ("DELETE FROM head", "head"),
        ("DROP INDEX inventory_by_partner", "inventory"),
        ("DROP INDEX event_types_by_partner", "event_types"),
    ],
)  # fmt: skip
def test_verification_finds_rows_changed_by_hand(stocked: OfferLedger, statement: str, where: str) -> None:
    change_by_hand(stocked, statement)
    assert any(place.startswith(where) for place in differences(stocked))


@only_sqlite
@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE commits SET recorded_at = 'noon' WHERE first_position = 2", "commit "),
        ("UPDATE commits SET chain = 'abc' WHERE first_position = 2", "commit "),
        ("UPDATE commits SET digest = 7 WHERE first_position = 2", "commit "),
        ("UPDATE commits SET event_count = 'many' WHERE first_position = 2", "commit "),
        ("UPDATE streams SET stream_uid = 'abc' WHERE stream_id = 2", "commit "),
        ("UPDATE events SET topic = x'00' WHERE version = 2", "commit "),
        ("UPDATE events SET version = 'two' WHERE version = 2", "commit "),
        ("UPDATE head SET chain = 'abc'", "head"),
    ],
)  # fmt: skip
def test_verification_finds_types_changed_by_hand(stocked: OfferLedger, statement: str, where: str) -> None:
    change_by_hand(stocked, statement)
    assert any(place.startswith(where) for place in differences(stocked))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET state = CAST('{}' AS BLOB) WHERE topic = 'OfferCreated'",
        "UPDATE events SET topic = 'OfferDeleted' WHERE topic = 'OfferPaused'",
        "DELETE FROM events WHERE topic = 'OfferPaused'",
        "UPDATE events SET state = 'not JSON' WHERE topic = 'OfferPaused'",
        "UPDATE events SET topic = 'OfferVanished' WHERE topic = 'OfferPaused'",
    ],
)
def test_verification_finds_events_changed_or_deleted_by_hand(stocked: OfferLedger, statement: str) -> None:
    change_by_hand(stocked, statement)
    assert any(where.startswith("commit ") for where in differences(stocked))


def test_verification_finds_a_deleted_newest_commit(stocked: OfferLedger) -> None:
    newest = "(SELECT max(commit_id) FROM commits)"
    change_by_hand(
        stocked,
        f"UPDATE head SET position = position - (SELECT event_count FROM commits WHERE commit_id = {newest})",
        f"DELETE FROM events WHERE commit_id = {newest}",
        f"DELETE FROM commits WHERE commit_id = {newest}",
    )
    assert "head" in differences(stocked)


def test_verification_limits_the_reported_commits(ledger: OfferLedger) -> None:
    for number in range(MAX_DIFFERENCES + 10):
        ledger.handle(SetPartner(f"partner-{number}"), OPERATOR)
    change_by_hand(ledger, "UPDATE commits SET actor = 'mallory'")
    reported = verification.verify(ledger)
    assert [difference.where.split()[0] for difference in reported] == ["commit"] * MAX_DIFFERENCES


@only_sqlite
def test_verification_limits_the_reported_rows(stocked: OfferLedger) -> None:
    change_by_hand(
        stocked,
        "UPDATE inventory SET status = 'paused' WHERE external_id = 'a'",
        "DELETE FROM inventory WHERE external_id = 'b'",
        f"INSERT INTO inventory SELECT value + 1000, 'p', 'custom', NULL, 'z' || value, 'active', 1, 1, 'd',"
        f" NULL, '', '', 1, 1, 1 FROM json_each('{list(range(50))}')",
    )
    reported = verification.verify(stocked)
    assert len(reported) == MAX_DIFFERENCES
    kinds = [(difference.found is None, difference.expected is None) for difference in reported]
    assert (kinds.count((False, False)), kinds.count((True, False))) == (1, 1)


def test_verification_changes_nothing(stocked: OfferLedger) -> None:
    change_by_hand(stocked, "UPDATE inventory SET status = 'paused'")
    before = projection_rows(stocked)
    differences(stocked)
    assert projection_rows(stocked) == before


def test_projection_status_has_the_position_of_the_ledger(stocked: OfferLedger) -> None:
    status = projector.status(stocked)
    assert [size.name for size in status.items] == [projection.name for projection in projector.PROJECTIONS]
    assert status.position == stocked.recorder.max_notification_id()
    assert {size.name: size.rows for size in status.items}["inventory"] == 3


# A projection without a table


@pytest.fixture
def lacking(stocked: OfferLedger, settings: Settings, clock: Clock) -> Iterator[OfferLedger]:
    """A ledger that was opened while the table `tokens` did not exist."""
    change_by_hand(stocked, "DROP TABLE tokens")
    with open_service(settings, clock) as service:
        yield service.ledger


def create_token(ledger: OfferLedger, name: str) -> None:
    ledger.handle(CreateToken(name, Role.AUDITOR, None, name, 0, None), OPERATOR)


def test_projection_without_a_table_is_skipped(lacking: OfferLedger) -> None:
    create_token(lacking, "new")
    run_batch(lacking, Operation.SYNCHRONIZE, [item("d")])
    assert differences(lacking) == ["tokens"]
    assert projector.unbuilt_projections(lacking) == ["tokens"]
    assert ProjectionSize("tokens", None) in projector.status(lacking).items


def test_running_process_updates_a_projection_once_it_is_built(lacking: OfferLedger, stocked: OfferLedger) -> None:
    create_token(lacking, "new")
    rebuild(stocked, projections=[tokens.PROJECTION])
    create_token(lacking, "newer")
    assert differences(lacking) == []
    assert projector.unbuilt_projections(lacking) == []


def test_projection_with_a_table_is_never_skipped(stocked: OfferLedger, settings: Settings, clock: Clock) -> None:
    change_by_hand(stocked, "DROP TABLE inventory")
    with open_service(settings, clock) as service, pytest.raises(StorageError):
        record(service.ledger, OfferKey(PARTNER, Channel.CUSTOM, None, "d"), created())
    rebuild(stocked)
    assert differences(stocked) == []


class RecordingCursor:
    """A cursor that records the executed statements."""

    def __init__(self, tx: Cursor) -> None:
        self.tx, self.executed, self.dialect = tx, list[str](), tx.dialect

    def now(self) -> datetime:
        return self.tx.now()

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Self:
        self.executed.append(sql)
        self.tx.execute(sql, parameters)
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        self.executed.append(sql)
        self.tx.executemany(sql, rows)
        return self

    def execute_set(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        self.executed.append(sql)
        self.tx.execute_set(sql, rows)
        return self

    def read_together(self, *lookups: Lookup[Any]) -> list[Any]:
        self.executed += [lookup.statement for lookup in lookups]
        return self.tx.read_together(*lookups)

    def stream_rows(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        self.executed.append(sql)
        return self.tx.stream_rows(sql, parameters)

    def fetchone(self) -> Any:
        return self.tx.fetchone()

    def fetchall(self) -> list[Any]:
        return self.tx.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tx)


def table_queries(tested: Projector, ledger: OfferLedger) -> int:
    """Returns how often a projector queries the existing tables when it applies an event."""
    with ledger.recorder.write() as tx:
        recording = RecordingCursor(tx)
        tested.project(recording, [Entry(1, 0, 1, 1, TokenRevoked())])
    return sum("sqlite_master" in sql or "pg_tables" in sql for sql in recording.executed)


def test_projector_stops_checking_once_all_tables_exist(stocked: OfferLedger) -> None:
    tested = Projector()
    assert [table_queries(tested, stocked) for _ in range(3)] == [1, 0, 0]


def test_projector_checks_until_a_missing_table_exists(lacking: OfferLedger) -> None:
    tested = Projector()
    assert [table_queries(tested, lacking) for _ in range(3)] == [1, 1, 1]
    rebuild(lacking)
    assert [table_queries(tested, lacking) for _ in range(3)] == [1, 0, 0]
