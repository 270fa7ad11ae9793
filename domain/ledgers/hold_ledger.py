"""Records the holds and releases of offers."""

from collections.abc import Callable
from uuid import UUID

from domain.ledgers.ledger import OfferLedger
from domain.redemption import hold
from domain.redemption.hold import Hold, HoldCommand
from domain.refusals import UnknownOffer
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.retry import retry_transaction
from domain.values import Origin, holds_uid

OfferOwnerQuery = Callable[[Cursor, UUID], str | None]
"""Returns the partner of an offer; None if the offer does not exist."""


class HoldLedger:
    """The holds of a ledger's offers."""

    def __init__(self, ledger: OfferLedger, owner_of: OfferOwnerQuery) -> None:
        self.ledger = ledger
        self._owner_of = owner_of

    @retry_transaction
    def execute(self, command: HoldCommand, origin: Origin) -> bool:
        """Returns whether the command changed something. Raises UnknownOffer and HoldEndsInThePast."""
        uid = holds_uid(command.offer_uid)
        with self.ledger.recorder.write() as tx:
            partner = self._owner_of(tx, command.offer_uid)
            if partner is None:
                raise UnknownOffer
            version, state = self.ledger.state(tx, uid, hold.evolve, _NOT_HELD)
            events = hold.decide_hold(state, command, self.ledger.now(tx))
            self.ledger.commit(tx, CommitContext(origin, partner), [(uid, version, events)])
        return bool(events)


_NOT_HELD: Hold | None = None
