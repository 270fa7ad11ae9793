"""Projections say what the events say, and no change by hand goes unseen."""

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
from domain.store.cursor import Cursor
from domain.values import Channel, OfferKey, Operation, Role
from projections import projector
from projections.access import tokens
from projections.maintenance import verification
from projections.maintenance.rebuild import rebuild
from projections.maintenance.table_diff import DIFFERENCES_SHOWN
from projections.projector import ProjectionSize, Projector
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER, created, item
from tests.support.harness import OPERATOR, Clock, record, run_batch
from tests.support.table_contents import change_by_hand, rows


@pytest.fixture
def stocked(ledger: OfferLedger) -> OfferLedger:
    ledger.handle(CreateToken("books", Role.AUDITOR, None, "00", 0, None), OPERATOR)
    for names in (["a", "b"], ["b", "c"], ["a", "c"]):
        run_batch(ledger, Operation.SYNCHRONIZE, [item(name) for name in names])
    return ledger


def differences(ledger: OfferLedger) -> Sequence[str]:
    return [difference.where for difference in verification.verify(ledger)]


def test_an_untouched_ledger_is_in_order(stocked: OfferLedger) -> None:
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
        ("DELETE FROM head", "head"),
        ("DROP INDEX inventory_by_partner", "inventory"),
        ("DROP INDEX event_types_by_partner", "event_types"),
    ],
)  # fmt: skip
def test_a_row_changed_added_or_deleted_by_hand_is_found(stocked: OfferLedger, statement: str, where: str) -> None:
    change_by_hand(stocked, statement)
    assert any(found.startswith(where) for found in differences(stocked))


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
def test_a_value_whose_type_was_changed_by_hand_is_found(stocked: OfferLedger, statement: str, where: str) -> None:
    change_by_hand(stocked, statement)
    assert any(found.startswith(where) for found in differences(stocked))


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
def test_an_event_changed_or_deleted_by_hand_is_found(stocked: OfferLedger, statement: str) -> None:
    change_by_hand(stocked, statement)
    assert any(where.startswith("commit ") for where in differences(stocked))


def test_the_newest_commit_cut_off_by_hand_is_found(stocked: OfferLedger) -> None:
    newest = "(SELECT max(commit_id) FROM commits)"
    change_by_hand(
        stocked,
        f"UPDATE head SET position = position - (SELECT event_count FROM commits WHERE commit_id = {newest})",
        f"DELETE FROM events WHERE commit_id = {newest}",
        f"DELETE FROM commits WHERE commit_id = {newest}",
    )
    assert "head" in differences(stocked)


def test_many_broken_commits_are_told_up_to_a_bound(ledger: OfferLedger) -> None:
    for number in range(DIFFERENCES_SHOWN + 10):
        ledger.handle(SetPartner(f"partner-{number}"), OPERATOR)
    change_by_hand(ledger, "UPDATE commits SET actor = 'somebody else'")
    found = verification.verify(ledger)
    assert [difference.where.split()[0] for difference in found] == ["commit"] * DIFFERENCES_SHOWN


@only_sqlite
def test_many_differences_are_told_up_to_a_bound_and_each_as_it_is(stocked: OfferLedger) -> None:
    change_by_hand(
        stocked,
        "UPDATE inventory SET status = 'paused' WHERE external_id = 'a'",
        "DELETE FROM inventory WHERE external_id = 'b'",
        f"INSERT INTO inventory SELECT value + 1000, 'p', 'custom', NULL, 'z' || value, 'active', 1, 1, 'd', NULL, '', '', 1, 1, 1"
        f" FROM json_each('{list(range(50))}')",
    )
    found = verification.verify(stocked)
    assert len(found) == DIFFERENCES_SHOWN
    kinds = [(difference.found is None, difference.expected is None) for difference in found]
    assert (kinds.count((False, False)), kinds.count((True, False))) == (1, 1)


def test_verifying_changes_nothing(stocked: OfferLedger) -> None:
    change_by_hand(stocked, "UPDATE inventory SET status = 'paused'")
    before = rows(stocked)
    differences(stocked)
    assert rows(stocked) == before


def test_the_status_of_projections_is_that_of_the_ledger(stocked: OfferLedger) -> None:
    found = projector.status(stocked)
    assert [size.name for size in found.items] == [projection.name for projection in projector.PROJECTIONS]
    assert found.position == stocked.recorder.max_notification_id()
    assert {size.name: size.rows for size in found.items}["inventory"] == 3


# A projection that is not there yet


@pytest.fixture
def lacking(stocked: OfferLedger, settings: Settings, clock: Clock) -> Iterator[OfferLedger]:
    """Opened when a table was not there."""
    change_by_hand(stocked, "DROP TABLE tokens")
    with open_service(settings, clock) as service:
        yield service.ledger


def create_token(ledger: OfferLedger, name: str) -> None:
    ledger.handle(CreateToken(name, Role.AUDITOR, None, name, 0, None), OPERATOR)


def test_a_projection_without_a_table_is_passed_over(lacking: OfferLedger) -> None:
    create_token(lacking, "new")
    run_batch(lacking, Operation.SYNCHRONIZE, [item("d")])
    assert differences(lacking) == ["tokens"]
    assert projector.not_built(lacking) == ["tokens"]
    assert ProjectionSize("tokens", None) in projector.status(lacking).items


def test_once_it_is_built_it_is_followed_by_those_who_have_missed_it(
    lacking: OfferLedger, stocked: OfferLedger
) -> None:
    create_token(lacking, "new")
    rebuild(stocked, projections=[tokens.PROJECTION])
    create_token(lacking, "newer")
    assert differences(lacking) == []
    assert projector.not_built(lacking) == []


def test_one_that_is_there_is_never_passed_over_for_want_of_what_it_reads(
    stocked: OfferLedger, settings: Settings, clock: Clock
) -> None:
    change_by_hand(stocked, "DROP TABLE inventory")
    with open_service(settings, clock) as service, pytest.raises(StorageError):
        record(service.ledger, OfferKey(PARTNER, Channel.CUSTOM, None, "d"), created())
    rebuild(stocked)
    assert differences(stocked) == []


class Listener:
    """A cursor that keeps what it is asked for."""

    def __init__(self, tx: Cursor) -> None:
        self.tx, self.asked, self.dialect = tx, list[str](), tx.dialect

    def now(self) -> datetime:
        return self.tx.now()

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Self:
        self.asked.append(sql)
        self.tx.execute(sql, parameters)
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        self.asked.append(sql)
        self.tx.executemany(sql, rows)
        return self

    def execute_set(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        self.asked.append(sql)
        self.tx.execute_set(sql, rows)
        return self

    def each(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        self.asked.append(sql)
        return self.tx.each(sql, parameters)

    def fetchone(self) -> Any:
        return self.tx.fetchone()

    def fetchall(self) -> list[Any]:
        return self.tx.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tx)


def looks(followers: Projector, ledger: OfferLedger) -> int:
    """How often a projector looks which tables there are, when an event comes."""
    with ledger.recorder.write() as tx:
        listener = Listener(tx)
        followers.project(listener, [Entry(1, 0, 1, 1, TokenRevoked())])
    return sum("sqlite_master" in sql or "pg_tables" in sql for sql in listener.asked)


def test_who_has_seen_all_tables_looks_for_none_again(stocked: OfferLedger) -> None:
    followers = Projector()
    assert [looks(followers, stocked) for _ in range(3)] == [1, 0, 0]


def test_who_misses_one_looks_until_it_is_there(lacking: OfferLedger) -> None:
    followers = Projector()
    assert [looks(followers, lacking) for _ in range(3)] == [1, 1, 1]
    rebuild(lacking)
    assert [looks(followers, lacking) for _ in range(3)] == [1, 0, 0]
