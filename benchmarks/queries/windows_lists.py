"""The lists of redemption windows that the benchmark `windows` requests."""

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
"""The distance between the activations of two rounds, so that no two rounds use neighbours."""
OPEN, WINDING_DOWN, EXPIRED = WindowState
MINE, OTHER = PARTNERS[:2]
"""The partner of the popular offer, and another partner."""


class WindowList(NamedTuple):
    """`filter_for`: returns the filter of a round. `at`: the effective time, or None for now. `share`: the place of
    the page in the list, from 0 to 1."""

    name: str
    filter_for: Callable[[int], WindowFilter]
    at: datetime | None = None
    secret: str = AUDITOR
    share: float = 0.0

    def parameters(self, turn: int) -> dict[str, str]:
        """Returns the query parameters."""
        offer, customer, partner, state = (
            getattr(self.filter_for(turn), name) for name in WindowFilter.__struct_fields__
        )
        parameters = {"offerUid": offer, "customerId": customer, "partner": partner, "state": state}
        parameters |= {"at": self.at and utc_text(self.at)}
        return {name: str(value) for name, value in parameters.items() if value is not None}


def window_lists(past: Past) -> list[WindowList]:
    return [*_short_lists(past), *_long_lists(past)]


def _customer(past: Past, turn: int) -> str:
    return past.customer(turn * STEP % past.windows)


def _short_lists(past: Past) -> list[WindowList]:
    """Lists of one customer or one offer."""
    popular = _filter(offer_uid=offer_uid(POPULAR), state=WINDING_DOWN)
    return [
        WindowList("of a customer", lambda turn: WindowFilter(customer_id=_customer(past, turn))),
        WindowList("popular offer, winding down", popular),
        WindowList("  in the middle of the list", popular, share=0.5),
    ]


def _long_lists(past: Past) -> list[WindowList]:
    """Lists of a partner or of the whole ledger."""
    of_partner = _filter(partner=MINE, state=WINDING_DOWN)
    return [
        WindowList("of a partner, winding down", of_partner),
        WindowList("  with the partner's token", of_partner, secret=OF_PARTNER),
        WindowList("of another partner, open", _filter(partner=OTHER, state=OPEN)),
        WindowList("all, expired", _filter(state=EXPIRED)),
        WindowList("all, 30 days ago", _filter(), at=_days_ago(past, 30)),
        WindowList("all, winding down in 10 days", _filter(state=WINDING_DOWN), at=_days_ago(past, -10)),
    ]


def _filter(
    offer_uid: UUID | None = None,
    customer_id: str | None = None,
    partner: str | None = None,
    state: WindowState | None = None,
) -> Callable[[int], WindowFilter]:
    """Returns a function with the same filter for every round."""
    window_filter = WindowFilter(offer_uid, customer_id, partner, state)
    return lambda _: window_filter


def _days_ago(past: Past, days: int) -> datetime:
    return past.began + timedelta(days=DAYS - days)
