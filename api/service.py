"""The service: everything a route or a command works with."""

from msgspec import Struct

from api.access.console_sessions import Sessions
from api.access.pseudonyms import Pseudonyms
from api.access.rate_limits import RequestLimiter
from api.settings import Settings
from domain.ledgers.activation_ledger import ActivationLedger
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.redemption_ledger import RedemptionLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.values import Clock


class Service(Struct, frozen=True):
    """Everything that a route or a command works with."""

    settings: Settings
    clock: Clock
    ledger: OfferLedger
    runs: RunLedger
    single_requests: SingleRequestLedger
    activations: ActivationLedger
    redemptions: RedemptionLedger
    pseudonyms: Pseudonyms
    sessions: Sessions
    """Of the console."""
    limiter: RequestLimiter
