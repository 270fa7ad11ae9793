"""Why can a request be refused?"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from domain.values import Operation

_Request = TypeVar("_Request")
_Decision = TypeVar("_Decision")


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error of the program
    """The request is not carried out; nothing has been changed."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Refusals are made of other things than their sentence; still they pass from one process to another.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[Refused], args: tuple[Any, ...], members: dict[str, Any]) -> Refused:
    refusal = kind.__new__(kind)
    refusal.args = args
    refusal.__dict__.update(members)
    return refusal


def decided_or_refused(decide: Callable[[_Request], _Decision], request: _Request) -> _Decision | Refused:
    """What `decide` answers, or raises."""
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
        super().__init__("This concurrencyRequestId was used before, with other content")
        self.run_id = run_id


class RunInProgress(Refused):
    """A partner has one run at a time on each channel."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"Run {run_id} of this partner is in progress; the next one may start when it has ended")
        self.run_id = run_id


class FileSuperseded(Refused):
    """A later dump of all offers has been processed: the older one says nothing of today."""

    def __init__(self, dated: date, newest: date) -> None:
        super().__init__(f"The file is dated {dated}; one dated {newest} has been processed already")


class WindowDaysOutOfBounds(Refused):
    """No redemption window is shorter or longer than what customers have been promised."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__(f"A redemption window has {least} to {most} days")


class TimeInFuture(Refused):
    """A caller tells of what has not happened yet."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} lies in the future")
        self.field = field


class UnknownOffer(Refused):
    def __init__(self) -> None:
        super().__init__("There is no such offer")


class OfferNotActivatable(Refused):
    def __init__(self, why: str) -> None:
        super().__init__(f"The offer {why}")


class FlightConflict(Refused):
    def __init__(self) -> None:
        super().__init__("A flight with other days starts at that time")


class FlightInThePast(Refused):
    """What has begun can't be changed any more."""

    def __init__(self) -> None:
        super().__init__("startsAt lies in the past")


class TransactionReused(Refused):
    def __init__(self) -> None:
        super().__init__("This transactionId has been redeemed, with other members")


class UnknownRedemption(Refused):
    def __init__(self) -> None:
        super().__init__("There is no such redemption")


class ReversalReused(Refused):
    def __init__(self) -> None:
        super().__init__("This reversalId was used before, with another amount")


class ReversalExceedsRedemption(Refused):
    """No more can be taken back than was redeemed."""

    def __init__(self, remaining: Decimal, currency: str) -> None:
        super().__init__(f"Of the redemption, {remaining} {currency} remain")
        self.remaining = remaining


class TooManyReversals(Refused):
    """Each one is looked at whenever another one comes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A redemption has {limit} reversals at most")


class TooManyFlights(Refused):
    """Each one is looked at whenever the offer is activated."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"An offer has {limit} flights at most")


class LeaseLost(Refused):
    """A run is carried out by the owner of its lease alone, and only once."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"Run {run_id} is in other hands, or has ended")
        self.run_id = run_id


class RateLimitExceeded(Refused):
    """The partner sends single requests faster than agreed."""

    def __init__(self, limit: int, seconds_to_wait: int) -> None:
        super().__init__(f"rps: single requests are limited to {limit} per second")
        self.seconds_to_wait = seconds_to_wait


class DailyQuotaExceeded(Refused):
    """The partner's single requests of this UTC day are used up."""

    def __init__(self, limit: int, seconds_to_next_day: int) -> None:
        super().__init__(f"daily: single requests are limited to {limit} per UTC day")
        self.limit = limit
        self.seconds_to_next_day = seconds_to_next_day


class RunLimitReached(Refused):
    """The partner's runs of this operation are used up for this calendar window."""

    def __init__(self, operation: Operation, limit: int, unit: str, seconds_to_next_window: int) -> None:
        super().__init__(
            f"{operation} is limited to {limit} per UTC {unit}; the next one may start in {seconds_to_next_window} seconds"
        )
        self.seconds_to_next_window = seconds_to_next_window
