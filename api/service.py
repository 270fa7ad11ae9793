"""The container of the ledgers and resources that routes and commands use."""

from msgspec import Struct

from api.access.console_sessions import Sessions
from api.access.pseudonyms import Pseudonyms
from api.access.rate_limits import RequestLimiter
from api.settings import Settings
from domain.ledgers.activation_ledger import ActivationLedger
from domain.ledgers.hold_ledger import HoldLedger
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.redemption_ledger import RedemptionLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.values import Clock


class Service(Struct, frozen=True):
    """The ledgers and resources of an open ledger database; see `open_service`."""

    settings: Settings
    clock: Clock
    ledger: OfferLedger
    runs: RunLedger
    single_requests: SingleRequestLedger
    activations: ActivationLedger
    holds: HoldLedger
    redemptions: RedemptionLedger
    pseudonyms: Pseudonyms
    sessions: Sessions
    """Sessions of console users."""
    limiter: RequestLimiter
