"""Which lists of redemption windows are asked for?"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from benchmarks.fill.many_windows import DAYS, POPULAR, Past
from benchmarks.fill.seed_activations import AUDITOR, OF_PARTNER, PARTNERS, offer_uid
from domain.redemption.activation import WindowState
from domain.values import utc_text
from projections.redemption.windows_as_of import WindowFilter

STEP = 977
"""From activation to activation, so that no two turns ask for neighbours."""
OPEN, WINDING_DOWN, EXPIRED = WindowState
MINE, OTHER = PARTNERS[:2]
"""The popular offer's, and another one."""


class WindowList(NamedTuple):
    """`wanted`: by the turn; `at` None: now; `share`: how far into the list the page lies that is asked for."""

    name: str
    wanted: Callable[[int], WindowFilter]
    at: datetime | None = None
    secret: str = AUDITOR
    share: float = 0.0

    def parameters(self, turn: int) -> dict[str, str]:
        """As they stand in an address."""
        offer, customer, partner, state = (getattr(self.wanted(turn), name) for name in WindowFilter.__struct_fields__)
        told = {"offerUid": offer, "customerId": customer, "partner": partner, "state": state}
        told |= {"at": self.at and utc_text(self.at)}
        return {name: str(value) for name, value in told.items() if value is not None}


def window_lists(past: Past) -> list[WindowList]:
    return [*_of_few(past), *_of_all(past)]


def _customer(past: Past, turn: int) -> str:
    return past.customer(turn * STEP % past.windows)


def _of_few(past: Past) -> list[WindowList]:
    """Of one customer, or of one offer."""
    popular = _filter(offer_uid=offer_uid(POPULAR), state=WINDING_DOWN)
    return [
        WindowList("a customer's", lambda turn: WindowFilter(customer_id=_customer(past, turn))),
        WindowList("the popular offer's, winding down", popular),
        WindowList("  in the midst of them", popular, share=0.5),
    ]


def _of_all(past: Past) -> list[WindowList]:
    """Of a partner, or of the whole ledger."""
    of_partner = _filter(partner=MINE, state=WINDING_DOWN)
    return [
        WindowList("a partner's, winding down", of_partner),
        WindowList("  as the partner sees them", of_partner, secret=OF_PARTNER),
        WindowList("another partner's, open", _filter(partner=OTHER, state=OPEN)),
        WindowList("all that have expired", _filter(state=EXPIRED)),
        WindowList("all, thirty days ago", _filter(), at=_days_ago(past, 30)),
        WindowList("all that wind down in ten days", _filter(state=WINDING_DOWN), at=_days_ago(past, -10)),
    ]


def _filter(
    offer_uid: UUID | None = None,
    customer_id: str | None = None,
    partner: str | None = None,
    state: WindowState | None = None,
) -> Callable[[int], WindowFilter]:
    """The same in every turn."""
    wanted = WindowFilter(offer_uid, customer_id, partner, state)
    return lambda _: wanted


def _days_ago(past: Past, days: int) -> datetime:
    return past.began + timedelta(days=DAYS - days)
