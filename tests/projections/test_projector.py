"""Projections say what the events say, and no change by hand goes unseen."""

from collections.abc import Sequence

import pytest

from domain.ledger import OfferLedger
from domain.token import CreateToken
from domain.values import Operation, Role
from projections import projector, verification
from projections.differences import DIFFERENCES_SHOWN
from tests.examples import item
from tests.harness import OPERATOR, run_batch
from tests.projections.tables import change_by_hand, rows


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
    ],
)  # fmt: skip
def test_a_row_changed_added_or_deleted_by_hand_is_found(stocked: OfferLedger, statement: str, where: str) -> None:
    change_by_hand(stocked, statement)
    assert any(found.startswith(where) for found in differences(stocked))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET state = replace(state, 'Adjust', 'Adjusted') WHERE topic = 'OfferCreated'",
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
    assert [status.name for status in found] == [projection.name for projection in projector.PROJECTIONS]
    assert {status.position for status in found} == {stocked.recorder.max_notification_id()}
    assert {status.name: status.rows for status in found}["inventory"] == 3
