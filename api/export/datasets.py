"""Which rows does an export have? All events, offers or redemption windows of one state, read bit by bit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TypeVar, cast

from msgspec import Struct

from api.audit.event_reader import reading
from api.http.as_of import Asked
from api.offers.queries import then_of
from api.service import Service
from domain.store.cursor import Cursor
from domain.values import Watch
from projections.audit.event_item import EventItem
from projections.audit.event_list import EventFilter
from projections.offers import inventory
from projections.offers import inventory_as_of as inventory_then
from projections.offers.inventory import OfferFilter, OfferView
from projections.offers.inventory_as_of import Then
from projections.redemption import redemption_windows
from projections.redemption import windows_as_of as windows_at
from projections.redemption.windows_as_of import START, Sight, WindowFilter, WindowPlace, WindowView

ROWS_PER_READ = 1_000

P = TypeVar("P")


class What(StrEnum):
    """What can be exported."""

    EVENTS = "events"
    INVENTORY = "inventory"
    WINDOWS = "windows"


class Export:
    """Rows of one type, in the order in which the service lists them; `count`: how many have been read."""

    def __init__(self, kind: type[Struct], some: Iterable[Sequence[Struct]]) -> None:
        self.kind, self.count = kind, 0
        self._some = some

    @property
    def rows(self) -> Iterator[Sequence[Struct]]:
        """Some at a time. To be read once."""
        for rows in self._some:
            self.count += len(rows)
            yield rows


def export(service: Service, what: What, then: Then, partner: str | None, after: int, watch: Watch) -> Export:
    """Of a state as `state_of` tells it. `after`: the position after which events are wanted."""
    match what:
        case What.EVENTS:
            until = then.head.position
            return Export(EventItem, reading(service.ledger, EventFilter(partner), after, until=until, watch=watch))
        case What.INVENTORY:
            return Export(OfferView, _inventory(service, then, partner, watch))
        case What.WINDOWS:
            return Export(WindowView, _windows(service, then, partner, watch))


def state_of(service: Service, asked: Asked) -> Then:
    """A time that has not come yet means now."""
    with service.ledger.recorder.reading() as tx:
        return then_of(service.ledger, tx, asked)


def _inventory(service: Service, then: Then, partner: str | None, watch: Watch) -> Iterator[Sequence[Struct]]:
    with service.ledger.recorder.reading() as tx:
        total = inventory.count(tx, partner)

    def page(tx: Cursor, after: int) -> tuple[Sequence[Struct], int | None]:
        found = inventory_then.page(tx, OfferFilter(partner), then, after, ROWS_PER_READ)
        return found.items, found.next_after

    return _pages(service, page, 0, total, watch)


def _windows(service: Service, then: Then, partner: str | None, watch: Watch) -> Iterator[Sequence[Struct]]:
    """As they stood at that moment, by what had been recorded by then: whole commits."""
    sight = Sight(then.moment, then.head.recorded_at or then.moment)
    with service.ledger.recorder.reading() as tx:
        total = redemption_windows.count(tx)

    def page(tx: Cursor, after: WindowPlace) -> tuple[Sequence[Struct], WindowPlace | None]:
        found = windows_at.page(tx, WindowFilter(partner=partner), sight, after, ROWS_PER_READ)
        return found.items, found.next_after

    return _pages(service, page, START, total, watch)


Page = Callable[[Cursor, P], tuple[Sequence[Struct], P | None]]
"""The rows after a place, and the place that the following ones start after."""


def _pages(service: Service, page: Page[P], start: P, total: int, watch: Watch) -> Iterator[Sequence[Struct]]:
    """Each page of a snapshot of its own, all of the same state: their reader may be slow. `total`: how many there are at most."""
    done, following = 0, cast("P | None", start)
    while following is not None:
        with service.ledger.recorder.reading() as tx:
            rows, following = page(tx, following)
        done += len(rows)
        watch(done, max(done, total) if following is not None else done)
        yield rows
