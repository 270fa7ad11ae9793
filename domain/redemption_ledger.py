"""How are redemptions and reversals recorded? Several in one transaction, each as if it were alone.

A refused redemption is recorded too, so it is an answer here and not a Refused, which would leave nothing behind.
"""

from collections.abc import Sequence
from functools import reduce
from uuid import UUID

from msgspec import Struct

from domain import redemption as redemptions
from domain.activation_ledger import Questions
from domain.events import Event, OfferRedeemed, RedemptionEvent
from domain.ledger import OfferLedger
from domain.redemption import Purchase, Redemption, Reverse
from domain.refusals import Refused, UnknownOffer
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.savepoints import each_alone
from domain.values import Origin, redemption_uid


class RedemptionRequest(Struct, frozen=True):
    origin: Origin
    asked: Purchase | Reverse


class Settled(Struct, frozen=True):
    """What has become of a transaction after a request, and whether it is that request's doing."""

    redemption_id: UUID
    redemption: Redemption
    is_new: bool


class RedemptionLedger:
    """The redemptions of a ledger."""

    def __init__(self, ledger: OfferLedger, ask: Questions) -> None:
        self.ledger = ledger
        self._ask = ask

    def carry_out(self, requests: Sequence[RedemptionRequest]) -> list[Settled | Refused]:
        """Carries requests out in their order. Raises StorageError, and then none of them has been carried out."""
        with self.ledger.recorder.writing() as tx:
            return each_alone(tx, requests, self._settle)

    def find(self, redemption_id: UUID) -> Redemption:
        """UNSEEN for one that there is not."""
        with self.ledger.recorder.reading() as tx:
            return self._find(tx, redemption_id)

    def _settle(self, tx: Cursor, request: RedemptionRequest) -> Settled:
        asked = request.asked
        uid = asked.redemption_id if isinstance(asked, Reverse) else redemption_uid(asked.transaction_id)
        redemption = self._find(tx, uid)
        if isinstance(asked, Reverse):
            events = redemptions.reverse(redemption, asked)
            partner = self._partner(tx, redemption.redeemed)
        else:
            partner = self._partner(tx, redemption.redeemed or asked)
            made = self._ask.activations(tx, asked.customer_id, asked.offer_uid)
            events = redemptions.redeem(redemption, asked, made, self.ledger.present(tx))
        self.ledger.commit(tx, CommitContext(request.origin, partner), [(uid, redemption.version, events)])
        return Settled(uid, reduce(redemptions.evolve, events, redemption), is_new=bool(events))

    def _partner(self, tx: Cursor, of: Purchase | OfferRedeemed | None) -> str:
        terms = self._ask.offer_terms(tx, UUID(str(of.offer_uid))) if of else None
        if terms is None:
            raise UnknownOffer
        return terms.partner

    def _find(self, tx: Cursor, redemption_id: UUID) -> Redemption:
        found: Redemption = self.ledger.state(tx, redemption_id, _evolve, redemptions.UNSEEN)[1]
        return found


def _evolve(redemption: Redemption, event: Event) -> Redemption:
    """A caller may name any stream: what is no transaction has not been seen as one."""
    return redemptions.evolve(redemption, event) if isinstance(event, RedemptionEvent) else redemption
