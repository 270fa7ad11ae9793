"""How are redemptions and reversals recorded? Several in one transaction, each as if it were alone.

A refused redemption is recorded too, so it is an answer here and not a Refused, which would leave nothing behind.
"""

from collections.abc import Sequence
from functools import reduce
from typing import get_args
from uuid import UUID

from msgspec import Struct

from domain.events import RedemptionEvent
from domain.ledgers.activation_ledger import ActivationQueries
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.savepoints import each_alone
from domain.redemption import redemption as redemptions
from domain.redemption.redemption import Purchase, Redemption, Reverse
from domain.refusals import Refused, UnknownOffer
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.retry import retry_transaction
from domain.values import Origin, redemption_uid


class PendingRedemption(Struct, frozen=True):
    origin: Origin
    command: Purchase | Reverse


class RedemptionResult(Struct, frozen=True):
    """What has become of a purchase after a request, and whether it is that request's doing."""

    redemption_id: UUID
    redemption: Redemption
    is_new: bool


class RedemptionLedger:
    """The redemptions of a ledger."""

    def __init__(self, ledger: OfferLedger, ask: ActivationQueries) -> None:
        self.ledger = ledger
        self._ask = ask

    @retry_transaction
    def execute(self, requests: Sequence[PendingRedemption]) -> list[RedemptionResult | Refused]:
        """Carries requests out in their order. Raises StorageError, and then none of them has been carried out."""
        with self.ledger.recorder.write() as tx:
            return each_alone(tx, requests, self._settle)

    def find(self, tx: Cursor, redemption_id: UUID) -> Redemption:
        """UNSEEN for one that there is not."""
        # A caller may name any stream, and some are long.
        first = self.ledger.recorder.select_stream(tx, redemption_id, limit=1)
        if not first or first[0].topic not in _TOPICS:
            return redemptions.UNKNOWN_REDEMPTION
        found: Redemption = self.ledger.state(tx, redemption_id, redemptions.evolve, redemptions.UNKNOWN_REDEMPTION)[1]
        return found

    def _settle(self, tx: Cursor, request: PendingRedemption) -> RedemptionResult:
        asked = request.command
        uid = asked.redemption_id if isinstance(asked, Reverse) else redemption_uid(asked.transaction_id)
        redemption = self.find(tx, uid)
        offer_uid = _offer_of(redemption, asked)
        partner = self._partner(tx, offer_uid) if offer_uid else None
        if isinstance(asked, Reverse):
            events = redemptions.reverse(redemption, asked)
        else:
            made = self._ask.activations(tx, [(asked.customer_id, asked.offer_uid)])
            events = redemptions.redeem(redemption, asked, made, self.ledger.now(tx))
        self.ledger.commit(tx, CommitContext(request.origin, partner), [(uid, redemption.version, events)])
        return RedemptionResult(uid, reduce(redemptions.evolve, events, redemption), is_new=bool(events))

    def _partner(self, tx: Cursor, offer_uid: UUID) -> str:
        """Whose offer it is. Raises UnknownOffer."""
        terms = self._ask.offer_terms(tx, [offer_uid]).get(offer_uid)
        if terms is None:
            raise UnknownOffer
        return terms.partner


_TOPICS = {event.TOPIC for event in get_args(RedemptionEvent)}


def _offer_of(redemption: Redemption, asked: Purchase | Reverse) -> UUID | None:
    """None if something is to be taken back of what was never redeemed."""
    if redemption.redeemed:
        return UUID(redemption.redeemed.offer_uid)
    return None if isinstance(asked, Reverse) else asked.offer_uid
