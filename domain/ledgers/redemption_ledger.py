"""Records redemptions and reversals. They are executed in groups, one transaction for each group.

A refused redemption is recorded too. It is therefore a result here, not a `Refused`, which would roll it back.
"""

from collections.abc import Sequence
from functools import reduce
from typing import get_args
from uuid import UUID

from msgspec import Struct

from domain.events import RedemptionEvent
from domain.ledgers.activation_ledger import ActivationQueries
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.savepoints import apply_in_savepoints
from domain.redemption import redemption as redemptions
from domain.redemption.redemption import Purchase, Redemption, Reverse
from domain.refusals import Refused, UnknownOffer
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.retry import retry_transaction
from domain.store.stored_events import select_stream
from domain.values import Origin, redemption_uid


class PendingRedemption(Struct, frozen=True):
    origin: Origin
    command: Purchase | Reverse


class RedemptionResult(Struct, frozen=True):
    """State of a purchase after a request. `is_new`: whether the request changed it."""

    redemption_id: UUID
    redemption: Redemption
    is_new: bool


class RedemptionLedger:
    """The redemptions of a ledger."""

    def __init__(self, ledger: OfferLedger, queries: ActivationQueries) -> None:
        self.ledger = ledger
        self._queries = queries

    @retry_transaction
    def execute(self, requests: Sequence[PendingRedemption]) -> list[RedemptionResult | Refused]:
        """Executes requests in their order. Raises StorageError; then none of the requests has been executed."""
        with self.ledger.recorder.write() as tx:
            return apply_in_savepoints(tx, requests, self._execute_one)

    def find(self, tx: Cursor, redemption_id: UUID) -> Redemption:
        """Returns the state of a redemption, or UNKNOWN_REDEMPTION if there is none with this id."""
        # The id may be that of any stream, and some streams are long: check the first event before reading all of them.
        first = select_stream(tx, redemption_id, limit=1)
        if not first or first[0].topic not in _TOPICS:
            return redemptions.UNKNOWN_REDEMPTION
        state: Redemption = self.ledger.state(tx, redemption_id, redemptions.evolve, redemptions.UNKNOWN_REDEMPTION)[1]
        return state

    def _execute_one(self, tx: Cursor, request: PendingRedemption) -> RedemptionResult:
        command = request.command
        uid = command.redemption_id if isinstance(command, Reverse) else redemption_uid(command.transaction_id)
        redemption = self.find(tx, uid)
        offer_uid = _offer_of(redemption, command)
        partner = self._partner(tx, offer_uid) if offer_uid else None
        if isinstance(command, Reverse):
            events = redemptions.reverse(redemption, command)
        else:
            activations = self._queries.activations(tx, [(command.customer_id, command.offer_uid)])
            events = redemptions.redeem(redemption, command, activations, self.ledger.now(tx))
        self.ledger.commit(tx, CommitContext(request.origin, partner), [(uid, redemption.version, events)])
        return RedemptionResult(uid, reduce(redemptions.evolve, events, redemption), is_new=bool(events))

    def _partner(self, tx: Cursor, offer_uid: UUID) -> str:
        """Returns the partner of an offer. Raises UnknownOffer."""
        terms = self._queries.offer_terms(tx, [offer_uid]).get(offer_uid)
        if terms is None:
            raise UnknownOffer
        return terms.partner


_TOPICS = {event.TOPIC for event in get_args(RedemptionEvent)}


def _offer_of(redemption: Redemption, command: Purchase | Reverse) -> UUID | None:
    """Returns the offerUid; None for a reversal of an unknown redemption."""
    if redemption.redeemed:
        return UUID(redemption.redeemed.offer_uid)
    return None if isinstance(command, Reverse) else command.offer_uid
