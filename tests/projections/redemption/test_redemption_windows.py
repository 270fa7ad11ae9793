"""Reads of activations and offers for decisions, and the query plan for the windows of many customers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.redemption.activation import Activate, Activation, OfferAsOf
from domain.redemption.activation_group import OfferTerms, PendingActivation
from domain.redemption.window import redemption_window
from domain.store.cursor import Cursor
from domain.values import OfferKey, Status
from projections.maintenance.verification import verify
from projections.redemption import redemption_windows
from projections.redemption.redemption_windows import find_activation, find_activations, offer_terms
from tests.support.engine import only_postgres
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.traffic import MERCHANTS, putting

INSTANT, DAY = timedelta(microseconds=1), timedelta(days=1)
ONE, OTHER, OF_HARBOR = MERCHANTS


@pytest.fixture
def offers(service: Service, clock: Clock) -> Service:
    """A service with three offers. One is created every second."""
    for partner in (PARTNER, "harbor"):
        service.ledger.handle(SetPartner(partner, daily_quota=0), OPERATOR)
    for key in MERCHANTS:
        clock.move(seconds=1)
        putting(key, "one")(service, clock)
    return service


def activate(service: Service, key: OfferKey, customer: str, at: datetime) -> Activation:
    """Activates an offer at a time that has no other activation. Returns the expected activation."""
    activation_id = uuid4()
    pending = PendingActivation(OPERATOR, Activate(customer, key.offer_uid, at), activation_id)
    service.activations.execute([pending])
    return Activation(activation_id, customer, key.offer_uid, 1, 45, redemption_window(at, 45), late=False)


# Activations


def test_activations_of_pairs_are_sorted_by_their_times(offers: Service, clock: Clock) -> None:
    start = clock.now
    clock.move(days=10)
    later = activate(offers, ONE, "C-1", start + 9 * DAY)
    reported_late = activate(offers, OTHER, "C-2", start + 5 * DAY)
    activate(offers, OTHER, "C-1", start + 6 * DAY)
    activate(offers, OF_HARBOR, "C-2", start + 7 * DAY)
    pairs = [("C-1", ONE.offer_uid), ("C-2", OTHER.offer_uid), ("C-3", ONE.offer_uid), ("C-1", uuid4())]
    with offers.ledger.read() as tx:
        assert find_activations(tx, pairs) == [reported_late, later]
        assert find_activations(tx, []) == []


def test_activation_is_known_from_its_recorded_time(offers: Service, clock: Clock) -> None:
    activated_at = clock.now
    clock.move(days=1)
    activation = activate(offers, ONE, "C-1", activated_at)
    recorded_at = clock.now
    clock.move(days=1)
    activate(offers, OTHER, "C-1", clock.now)
    with offers.ledger.read() as tx:
        pairs = [("C-1", ONE.offer_uid)]
        assert find_activations(tx, pairs, recorded_at) == [activation]
        assert find_activations(tx, pairs, recorded_at - INSTANT) == []


def test_activation_is_found_by_its_id(offers: Service, clock: Clock) -> None:
    activations = [activate(offers, key, "C-1", clock.now) for key in MERCHANTS]
    with offers.ledger.read() as tx:
        assert [find_activation(tx, activation.activation_id) for activation in activations] == activations
        assert find_activation(tx, uuid4()) is None
        assert redemption_windows.count(tx) == 3


def test_changed_window_is_reported_with_customer_and_time(offers: Service, clock: Clock) -> None:
    activate(offers, ONE, "C-1", clock.now)
    assert verify(offers.ledger) == []
    with offers.ledger.recorder.write() as tx:
        tx.execute("UPDATE redemption_windows SET late = 1")
        (row,) = tx.execute("SELECT * FROM redemption_windows").fetchall()
    (difference,) = verify(offers.ledger)
    assert difference.where == (
        f"redemption_windows activation_id={row['activation_id']} customer_id={row['customer_id']}"
        f" activated_at={row['activated_at']}"
    )


# Terms of offers


def test_terms_change_with_the_offer_and_with_its_partner(offers: Service, clock: Clock) -> None:
    created_at = clock.now - timedelta(seconds=2)
    clock.move(days=1)
    putting(OTHER, None)(offers, clock)
    deleted_at = clock.now
    clock.move(days=1)
    offers.ledger.handle(SetPartner("harbor", redemption_window_days=31), OPERATOR)

    def terms(*uids: UUID) -> dict[UUID, OfferTerms]:
        with offers.ledger.read() as tx:
            return offer_terms(tx, uids)

    assert terms(uuid4()) == terms() == {}
    assert terms(ONE.offer_uid, OTHER.offer_uid, OF_HARBOR.offer_uid, uuid4()) == {
        ONE.offer_uid: OfferTerms(PARTNER, 45, OfferAsOf(Status.ACTIVE, 1), created_at),
        OTHER.offer_uid: OfferTerms(PARTNER, 45, OfferAsOf(Status.DELETED, 2), deleted_at),
        OF_HARBOR.offer_uid: OfferTerms("harbor", 31, OfferAsOf(Status.ACTIVE, 1), clock.now),
    }


# Query plan


class RecordingCursor:
    """A cursor that records the executed statements."""

    def __init__(self, tx: Cursor) -> None:
        self._tx = tx
        self.executed: list[tuple[str, Sequence[Any]]] = []

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        self.executed.append((statement, values))
        return self._tx.execute(statement, values)


@only_postgres
def test_windows_of_many_customers_use_the_index_by_customer(
    service: Service,
) -> None:
    with service.ledger.read() as tx:
        recording: Any = RecordingCursor(tx)
        offer_uid = uuid4()
        find_activations(recording, [(f"customer {number}", offer_uid) for number in range(200)])
        ((statement, values),) = recording.executed
        plan = "\n".join(row[0] for row in tx.execute(f"EXPLAIN {statement}", values))
    assert "redemption_windows_by_customer" in plan
    assert "redemption_windows_by_offer" not in plan
