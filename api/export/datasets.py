"""Which rows does an export have? All events, offers or redemption windows of one state, read bit by bit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TypeVar, cast

from msgspec import Struct

from api.audit.event_reader import read_events
from api.http.as_of import AsOf, resolve
from api.service import Service
from domain.store.cursor import Cursor
from domain.values import ProgressCallback
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter
from projections.offers import inventory, inventory_as_of
from projections.offers.inventory import OfferFilter, OfferView
from projections.offers.inventory_as_of import LedgerState
from projections.redemption import redemption_windows, windows_as_of
from projections.redemption.windows_as_of import FIRST_WINDOW, Viewpoint, WindowFilter, WindowPlace, WindowView

EXPORT_ROWS_PER_READ = 1_000

_P = TypeVar("_P")


class Dataset(StrEnum):
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


def open_export(
    service: Service, what: Dataset, then: LedgerState, partner: str | None, after: int, watch: ProgressCallback
) -> Export:
    """Of a state as `export_state` tells it. `after`: the position after which events are wanted."""
    match what:
        case Dataset.EVENTS:
            until = then.head.position
            return Export(EventView, read_events(service.ledger, EventFilter(partner), after, until=until, watch=watch))
        case Dataset.INVENTORY:
            return Export(OfferView, _inventory(service, then, partner, watch))
        case Dataset.WINDOWS:
            return Export(WindowView, _windows(service, then, partner, watch))


def export_state(service: Service, asked: AsOf) -> LedgerState:
    """A time that has not come yet means now."""
    with service.ledger.recorder.read() as tx:
        return resolve(service.ledger, tx, asked)


def _inventory(
    service: Service, then: LedgerState, partner: str | None, watch: ProgressCallback
) -> Iterator[Sequence[Struct]]:
    with service.ledger.recorder.read() as tx:
        total = inventory.count(tx, partner)

    def page(tx: Cursor, after: int) -> tuple[Sequence[Struct], int | None]:
        found = inventory_as_of.page(tx, OfferFilter(partner), then, after, EXPORT_ROWS_PER_READ)
        return found.items, found.next_after

    return _pages(service, page, 0, total, watch)


def _windows(
    service: Service, then: LedgerState, partner: str | None, watch: ProgressCallback
) -> Iterator[Sequence[Struct]]:
    """As they stood at that moment, by what had been recorded by then: whole commits."""
    sight = Viewpoint(then.evaluated_at, then.head.recorded_at or then.evaluated_at)
    with service.ledger.recorder.read() as tx:
        total = redemption_windows.count(tx)

    def page(tx: Cursor, after: WindowPlace) -> tuple[Sequence[Struct], WindowPlace | None]:
        found = windows_as_of.page(tx, WindowFilter(partner=partner), sight, after, EXPORT_ROWS_PER_READ)
        return found.items, found.next_after

    return _pages(service, page, FIRST_WINDOW, total, watch)


PageQuery = Callable[[Cursor, _P], tuple[Sequence[Struct], _P | None]]
"""The rows after a place, and the place that the following ones start after."""


def _pages(
    service: Service, page: PageQuery[_P], start: _P, total: int, watch: ProgressCallback
) -> Iterator[Sequence[Struct]]:
    """Each page of a snapshot of its own, all of the same state: their reader may be slow. `total`: how many there are at most."""
    done, following = 0, cast("_P | None", start)
    while following is not None:
        with service.ledger.recorder.read() as tx:
            rows, following = page(tx, following)
        done += len(rows)
        watch(done, max(done, total) if following is not None else done)
        yield rows
