"""The rows of an export: all events, offers or redemption windows of one state, read in batches."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar, cast

from msgspec import Struct

from api.audit.event_reader import read_events
from api.export.choices import Dataset
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


class Export:
    """Rows of one type in the order of the API's lists. `count` is the number of rows read so far."""

    def __init__(self, kind: type[Struct], batches: Iterable[Sequence[Struct]]) -> None:
        self.kind, self.count = kind, 0
        self._batches = batches

    @property
    def rows(self) -> Iterator[Sequence[Struct]]:
        """Batches of rows. They can be read only once."""
        for rows in self._batches:
            self.count += len(rows)
            yield rows


def open_export(
    service: Service,
    dataset: Dataset,
    state: LedgerState,
    partner: str | None,
    after: int,
    on_progress: ProgressCallback,
) -> Export:
    """Returns an export of `state`. The dataset of events starts after position `after`."""
    match dataset:
        case Dataset.EVENTS:
            until = state.head.position
            return Export(
                EventView,
                read_events(service.ledger, EventFilter(partner), after, until=until, on_progress=on_progress),
            )
        case Dataset.INVENTORY:
            return Export(OfferView, _inventory(service, state, partner, on_progress))
        case Dataset.WINDOWS:
            return Export(WindowView, _windows(service, state, partner, on_progress))


def export_state(service: Service, as_of: AsOf) -> LedgerState:
    """Returns the state to export. Raises Problem 422 if the ledger has not reached it."""
    with service.ledger.recorder.read() as tx:
        return resolve(service.ledger, tx, as_of)


def _inventory(
    service: Service, state: LedgerState, partner: str | None, on_progress: ProgressCallback
) -> Iterator[Sequence[Struct]]:
    with service.ledger.recorder.read() as tx:
        total = inventory.count(tx, partner)

    def page(tx: Cursor, after: int) -> tuple[Sequence[Struct], int | None]:
        found_page = inventory_as_of.page(tx, OfferFilter(partner), state, after, EXPORT_ROWS_PER_READ)
        return found_page.items, found_page.next_after

    return _pages(service, page, 0, total, on_progress)


def _windows(
    service: Service, state: LedgerState, partner: str | None, on_progress: ProgressCallback
) -> Iterator[Sequence[Struct]]:
    """Evaluates windows at the time of the state, with the facts of whole commits up to its recorded time."""
    known_at = state.head.recorded_at or state.evaluated_at
    viewpoint = Viewpoint(state.evaluated_at, known_at, applies_at=known_at)
    with service.ledger.recorder.read() as tx:
        total = redemption_windows.count(tx)

    def page(tx: Cursor, after: WindowPlace) -> tuple[Sequence[Struct], WindowPlace | None]:
        found_page = windows_as_of.page(tx, WindowFilter(partner=partner), viewpoint, after, EXPORT_ROWS_PER_READ)
        return found_page.items, found_page.next_after

    return _pages(service, page, FIRST_WINDOW, total, on_progress)


PageQuery = Callable[[Cursor, _P], tuple[Sequence[Struct], _P | None]]
"""Returns the rows after a place, and the place after which the next page starts; None after the last page."""


def _pages(
    service: Service, page: PageQuery[_P], start: _P, total: int, on_progress: ProgressCallback
) -> Iterator[Sequence[Struct]]:
    """Reads each page in its own snapshot, because the consumer may be slow. All pages show the same state.

    `total`: the maximum number of rows, for the progress."""
    rows_read, next_place = 0, cast("_P | None", start)
    while next_place is not None:
        with service.ledger.recorder.read() as tx:
            rows, next_place = page(tx, next_place)
        rows_read += len(rows)
        on_progress(rows_read, max(rows_read, total) if next_place is not None else rows_read)
        yield rows
