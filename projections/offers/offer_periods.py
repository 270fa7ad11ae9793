"""The projection `offer_periods`: one row per version of an offer, for past states.

A period lasts until the next version of the offer. Rows have the commit and the ordinal of their event instead of its
position, so they can be written before the commit has a position.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, get_args

from domain.events import OfferCreated, OfferEvent, OfferRestored, OfferUpdated
from domain.ledgers.ledger import Entry
from domain.offers.offer import STATUS_AFTER
from domain.store.cursor import Cursor
from domain.values import Status
from projections.offers.search_terms import names_of
from projections.projection import Projection

TABLE = """
    CREATE TABLE offer_periods (
        offer_id INTEGER NOT NULL,
        version INTEGER NOT NULL,
        commit_id INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        status TEXT NOT NULL,
        status_version INTEGER NOT NULL,
        content_version INTEGER NOT NULL,
        content_digest TEXT,
        searched_names TEXT,
        PRIMARY KEY (offer_id, version)
    )"""
"""`status_version` and `content_version` are the versions that set the status and the content. `content_digest` and
`searched_names` have values only in versions that set a content."""
# Nearly all periods are active, so these indexes are small.
INDEXES = (
    "CREATE INDEX offer_periods_inactive ON offer_periods (offer_id) WHERE status <> 'active'",
    "CREATE INDEX offer_periods_rare ON offer_periods (status, offer_id, version, commit_id) WHERE status <> 'active'",
)


# Updates


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    offers = _of_offers(entries)
    if sum(type(event) is not OfferCreated for _, event in offers) < MIN_CHANGES_TO_LOOK_UP:
        for batch in _in_batches(offers):
            tx.execute_set(_NEW, [_first(entry, event) for entry, event in batch if isinstance(event, OfferCreated)])
            others = [(entry, event) for entry, event in batch if not isinstance(event, OfferCreated)]
            tx.execute_set(_NEXT, [_next(entry, event) for entry, event in others])
    else:
        _write(tx, offers, {})


def replay() -> Callable[[Cursor, Sequence[Entry]], None]:
    """Returns an `apply` that remembers the newest periods, so that it rarely looks one up."""
    newest = dict[int, _Period]()

    def apply_next(tx: Cursor, entries: Sequence[Entry]) -> None:
        _write(tx, _of_offers(entries), newest)
        for offer in list(islice(newest, max(0, len(newest) - MAX_REMEMBERED_OFFERS))):
            del newest[offer]

    return apply_next


MIN_CHANGES_TO_LOOK_UP = 100
"""So many changes are faster with one query for the periods before. Fewer are not worth its round trip."""
MAX_REMEMBERED_OFFERS = 200_000
"""Their periods need about 30 MB."""

_NEW = "INSERT INTO offer_periods VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NEXT = """
    INSERT INTO offer_periods
    SELECT one.offer_id, one.version, ?, ?, coalesce(?, before.status, 'absent'),
           coalesce(?, before.status_version, 0), coalesce(?, before.content_version, 0), ?, ?
    FROM (SELECT CAST(? AS BIGINT) AS offer_id, CAST(? AS BIGINT) AS version) one
    LEFT JOIN offer_periods before ON before.offer_id = one.offer_id AND before.version = one.version - 1
"""
_WITH_CONTENT = (OfferCreated, OfferUpdated, OfferRestored)


def _of_offers(entries: Sequence[Entry]) -> list[tuple[Entry, OfferEvent]]:
    return [(entry, entry.event) for entry in entries if isinstance(entry.event, OfferEvent)]


def _in_batches(offers: Sequence[tuple[Entry, OfferEvent]]) -> list[list[tuple[Entry, OfferEvent]]]:
    """Splits entries into batches that are applied in order.

    A batch has at most one entry of each stream, so the order within a batch does not matter."""
    batches: list[list[tuple[Entry, OfferEvent]]] = []
    entries_per_stream = Counter[int]()
    for entry, event in offers:
        number = entries_per_stream[entry.stream_id]
        if number == len(batches):
            batches.append([])
        batches[number].append((entry, event))
        entries_per_stream[entry.stream_id] += 1
    return batches


def _first(entry: Entry, event: OfferCreated) -> tuple[Any, ...]:
    place = (entry.stream_id, entry.version, entry.commit_id, entry.ordinal)
    return (*place, Status.ACTIVE, entry.version, entry.version, event.content_digest, names_of(entry, event.content))


def _next(entry: Entry, event: OfferEvent) -> tuple[Any, ...]:
    """Returns the parameters of `_NEXT`. None copies the status or content version of the period before."""
    status = STATUS_AFTER[type(event)]
    content: tuple[Any, ...] = (None, None, None)
    if isinstance(event, _WITH_CONTENT):
        content = (entry.version, event.content_digest, names_of(entry, event.content))
    status_version = entry.version if status else None
    return (entry.commit_id, entry.ordinal, status, status_version, *content, entry.stream_id, entry.version)


_Period = tuple[int, str, int, int]
"""Of a period: version, status, status version, content version."""


def _write(tx: Cursor, offers: Sequence[tuple[Entry, OfferEvent]], newest: dict[int, _Period]) -> None:
    """Writes the period of each event. `newest` has periods by offer, and is brought up to date."""
    _look_up(tx, offers, newest)
    tx.execute_set(_NEW, sorted(_rows(offers, newest)))


def _look_up(tx: Cursor, offers: Sequence[tuple[Entry, OfferEvent]], newest: dict[int, _Period]) -> None:
    """Adds the period before the first event of each offer, if there is one and it is not known."""
    first = dict[int, int]()
    for entry, _ in offers:
        first.setdefault(entry.stream_id, entry.version)
    unknown = [
        (offer, version - 1)
        for offer, version in first.items()
        if version > 1 and ((known := newest.get(offer)) is None or known[0] != version - 1)
    ]
    if unknown:
        condition, values = tx.dialect.in_pairs(unknown)
        rows = tx.execute(
            "SELECT offer_id, version, status, status_version, content_version FROM offer_periods"
            f" WHERE (offer_id, version) {condition}",
            values,
        )
        newest.update((offer, (version, *state)) for offer, version, *state in rows)


def _rows(offers: Iterable[tuple[Entry, OfferEvent]], newest: dict[int, _Period]) -> Iterator[tuple[Any, ...]]:
    """Yields the row of each event: the one that `_NEXT` inserts."""
    for entry, event in offers:
        offer, version = entry.stream_id, entry.version
        status: str = Status.ABSENT
        status_version = content_version = 0
        if (before := newest.get(offer)) is not None and before[0] == version - 1:
            _, status, status_version, content_version = before
        if (new_status := STATUS_AFTER[type(event)]) is not None:
            status, status_version = new_status, version
        digest = names = None
        if isinstance(event, _WITH_CONTENT):
            content_version, digest, names = version, event.content_digest, names_of(entry, event.content)
        newest[offer] = (version, status, status_version, content_version)
        yield offer, version, entry.commit_id, entry.ordinal, status, status_version, content_version, digest, names


PROJECTION = Projection(
    name="offer_periods",
    key=("offer_id", "version"),
    table=TABLE,
    apply=apply,
    replay=replay,
    events=frozenset(get_args(OfferEvent)),
    indexes=INDEXES,
)


# Queries


VERSION_AS_OF_POSITION = """
    (SELECT q.version FROM offer_periods q JOIN commits qc ON qc.commit_id = q.commit_id
     WHERE q.offer_id = {offer_id} AND qc.first_position + q.ordinal <= ? ORDER BY q.version DESC LIMIT 1)
"""
"""A subquery for the version of an offer as of a position; null before the offer was created."""
STATUS_AS_OF_TIME = """
    (SELECT q.status FROM offer_periods q JOIN commits qc ON qc.commit_id = q.commit_id
     WHERE q.offer_id = {offer_id} AND qc.recorded_at <= ? ORDER BY q.version DESC LIMIT 1)
"""
"""A subquery for the status of an offer as of a recorded time in microseconds; null before the offer was created."""
