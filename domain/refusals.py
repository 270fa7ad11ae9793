"""Refusals: the reasons why the domain rejects a request.

The HTTP layer maps each class to a problem type, and shows the message as its `detail`.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from domain.values import Operation

_Request = TypeVar("_Request")
_Decision = TypeVar("_Decision")


class Refused(Exception):
    """Base class of refusals: the request was not executed and changed nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes send refusals by pickle. Its default calls the class with `args`, which is only the message.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[Refused], args: tuple[Any, ...], members: dict[str, Any]) -> Refused:
    refusal = kind.__new__(kind)
    refusal.args = args
    refusal.__dict__.update(members)
    return refusal


def decided_or_refused(decide: Callable[[_Request], _Decision], request: _Request) -> _Decision | Refused:
    """Returns the result of `decide`, or the refusal that it raises."""
    try:
        return decide(request)
    except Refused as refusal:
        return refusal


class UnknownPartner(Refused):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no partner named {name!r}; create it with: offer-ledger partners set {name}")


class TokenNameTaken(Refused):
    def __init__(self, name: str) -> None:
        super().__init__(f"A token named {name!r} is in use; revoke it first or choose another name")


class UnknownToken(Refused):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no token named {name!r} in use")


class IdempotencyKeyReused(Refused):
    def __init__(self, run_id: UUID) -> None:
        super().__init__("This concurrencyRequestId was already used with different content")
        self.run_id = run_id


class RunInProgress(Refused):
    """The partner already has an unfinished run on this channel; only one is allowed."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"Run {run_id} of this partner is in progress; start the next one after it has finished")
        self.run_id = run_id


class UnknownRun(Refused):
    def __init__(self) -> None:
        super().__init__("The run does not exist")


class NothingToUndo(Refused):
    """An undo of the run would change no offer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Nothing can be undone: {reason}")


class FileSuperseded(Refused):
    """A newer offers file has already been processed, so this older one no longer describes the partner's offers."""

    def __init__(self, dated: date, newest: date) -> None:
        super().__init__(f"The file is dated {dated}, but a file dated {newest} has already been processed")


class FileDatedAhead(Refused):
    """The date in the name of the offers file is too far ahead of the clock."""

    def __init__(self, days: int) -> None:
        super().__init__(f"The name of the file has a date more than {days} days ahead of the clock")
        self.days = days


class FileOfAnotherPartner(Refused):
    """The name of the offers file begins with the name of another registered partner."""

    def __init__(self) -> None:
        super().__init__("The name of the file begins with the name of another partner")


class WindowDaysOutOfBounds(Refused):
    """The number of days is outside the bounds that the contract sets for redemption windows."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__(f"A redemption window must have {least} to {most} days")


class TimeInFuture(Refused):
    """A caller reports a time that is in the future."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is in the future")
        self.field = field


class UnknownOffer(Refused):
    def __init__(self) -> None:
        super().__init__("The offer does not exist")


class OfferNotActivatable(Refused):
    def __init__(self, message: str) -> None:
        super().__init__(message)


class OfferOnHold(Refused):
    """An operator holds the offer, so it takes no new activations."""

    def __init__(self) -> None:
        super().__init__("An operator holds this offer; it takes no new activations")


class HoldEndsInThePast(Refused):
    """The hold would have ended already."""

    def __init__(self) -> None:
        super().__init__("until is in the past")


class FlightConflict(Refused):
    def __init__(self) -> None:
        super().__init__("Another flight, with a different number of days, already starts at this time")


class FlightInThePast(Refused):
    """The flight would have started already; a flight in force can't be changed."""

    def __init__(self) -> None:
        super().__init__("startsAt is in the past")


class TransactionReused(Refused):
    def __init__(self) -> None:
        super().__init__("This transactionId was already redeemed with different values")


class UnknownRedemption(Refused):
    def __init__(self) -> None:
        super().__init__("The redemption does not exist")


class ReversalReused(Refused):
    def __init__(self) -> None:
        super().__init__("This reversalId was already used with a different amount")


class ReversalExceedsRedemption(Refused):
    """The reversal is larger than the amount that is still left of the redemption."""

    def __init__(self, remaining: Decimal, currency: str) -> None:
        super().__init__(f"Only {remaining} {currency} of the redemption can still be reversed")
        self.remaining = remaining


class TooManyReversals(Refused):
    """The redemption has the maximum number of reversals; each request reads all of them."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A redemption can have at most {limit} reversals")


class TooManyFlights(Refused):
    """The offer has the maximum number of flights; each activation reads all of them."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"An offer can have at most {limit} flights")


class LeaseLost(Refused):
    """The process does not own the run's lease, or the run has finished. Only the owner executes a run."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"Run {run_id} is owned by another process or has finished")
        self.run_id = run_id


class PreconditionFailed(Refused):
    """The offer's version does not satisfy the precondition of a single request."""

    def __init__(self, version: int) -> None:
        state = f"has version {version}" if version else "does not exist"
        super().__init__(f"The offer {state}; this does not satisfy the condition of the request")


class OfferOfOtherMerchant(Refused):
    """A deletion names an offer that its partner has only under another merchant."""

    def __init__(self) -> None:
        super().__init__("ID mismatch: the partner has this offer under another merchant")


class RateLimitExceeded(Refused):
    """The partner sends more single requests per second than its limit."""

    def __init__(self, limit: int, seconds_to_wait: int) -> None:
        super().__init__(f"rps: single requests are limited to {limit} per second")
        self.seconds_to_wait = seconds_to_wait


class DailyQuotaExceeded(Refused):
    """The partner has used its quota of single requests for this UTC day."""

    def __init__(self, limit: int, seconds_to_next_day: int) -> None:
        super().__init__(f"daily: single requests are limited to {limit} per UTC day")
        self.limit = limit
        self.seconds_to_next_day = seconds_to_next_day


class RunLimitReached(Refused):
    """The partner has used its runs of this operation for the current UTC day or hour."""

    def __init__(self, operation: Operation, limit: int, unit: str, seconds_to_next_window: int) -> None:
        super().__init__(
            f"{operation} is limited to {limit} per UTC {unit}; start the next one in {seconds_to_next_window} seconds"
        )
        self.seconds_to_next_window = seconds_to_next_window
