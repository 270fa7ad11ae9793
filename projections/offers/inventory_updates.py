"""Updates of the projection `inventory`: the state of each offer after the events of a call."""

from collections.abc import Sequence
from typing import Any

from domain.events import OfferCreated, OfferEvent, OfferRestored, OfferUpdated
from domain.ledgers.ledger import Entry
from domain.offers.offer import STATUS_AFTER
from domain.store.cursor import Cursor
from domain.values import Status
from projections.offers.search_terms import names_of

Values = tuple[Any, ...]
"""The values of a row, or the parameters of a statement."""


def update_inventory(tx: Cursor, entries: Sequence[Entry]) -> None:
    """Writes the state of each offer after its last entry."""
    states = _LastStates()
    for entry in entries:
        event = entry.event
        if isinstance(event, OfferCreated):
            if entry.stream_id in states:
                states.write(tx)
            states.create(entry, event)
        elif isinstance(event, OfferEvent):
            states.change(entry.stream_id, _change(entry, event))
    states.write(tx)


class _LastStates:
    """The newest state of each offer that is not written yet: a new row, or the changes of the row in the table."""

    def __init__(self) -> None:
        self._first, self._others = dict[int, Values](), dict[int, Values]()
        self._changes = dict[int, Values]()

    def __contains__(self, offer: int) -> bool:
        return offer in self._first or offer in self._others or offer in self._changes

    def create(self, entry: Entry, event: OfferCreated) -> None:
        rows = self._first if entry.version == 1 else self._others
        rows[entry.stream_id] = _created_row(entry, event)

    def change(self, offer: int, change: Values) -> None:
        """`change`: the parameters of `_UPDATE`."""
        if (row := self._first.get(offer)) is not None:
            self._first[offer] = _changed_row(row, change)
        elif (row := self._others.get(offer)) is not None:
            self._others[offer] = _changed_row(row, change)
        elif (earlier := self._changes.get(offer)) is not None:
            self._changes[offer] = _later_change(earlier, change)
        else:
            self._changes[offer] = change

    def write(self, tx: Cursor) -> None:
        # The first event of a stream finds no row. PostgreSQL copies such rows into the table.
        tx.execute_set(_INSERT_FIRST, self._first.values())
        tx.execute_set(_INSERT, self._others.values())
        # In the order of the table, so that each of its pages is read once.
        tx.execute_set(_UPDATE, [change for _, change in sorted(self._changes.items())])
        for rows in (self._first, self._others, self._changes):
            rows.clear()


_INSERT_FIRST = "INSERT INTO inventory VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT = (
    f"{_INSERT_FIRST}"
    " ON CONFLICT (offer_id) DO UPDATE SET status = excluded.status, version = excluded.version,"
    " content_version = excluded.content_version, content_digest = excluded.content_digest,"
    " sent_digest = excluded.sent_digest,"
    " searched_names = excluded.searched_names, updated_commit = excluded.updated_commit,"
    " status_commit = excluded.status_commit"
)
_UPDATE = (
    "UPDATE inventory SET version = ?, updated_commit = ?, status = coalesce(?, status),"
    " status_commit = CASE WHEN ? THEN ? ELSE status_commit END,"
    " content_version = coalesce(?, content_version), content_digest = coalesce(?, content_digest),"
    " searched_names = coalesce(?, searched_names), sent_digest = CASE WHEN ? THEN ? ELSE sent_digest END"
    " WHERE offer_id = ?"
)


_WITH_CONTENT = (OfferUpdated, OfferRestored)


def _created_row(entry: Entry, event: OfferCreated) -> tuple[Any, ...]:
    return (
        entry.stream_id,
        event.partner,
        event.channel,
        event.merchant_id,
        event.external_id,
        Status.ACTIVE,
        entry.version,
        entry.version,
        event.content_digest,
        event.sent_digest,
        f"{event.external_id}\n{event.merchant_id or ''}".casefold(),
        names_of(entry, event.content),
        entry.commit_id,
        entry.commit_id,
        entry.commit_id,
    )


def _change(entry: Entry, event: OfferEvent) -> tuple[Any, ...]:
    """Returns the parameters of `_UPDATE`. None leaves a column unchanged."""
    offer, version, commit_id = entry.stream_id, entry.version, entry.commit_id
    status = STATUS_AFTER[type(event)]
    if not isinstance(event, _WITH_CONTENT):
        none = (None, None, None, False, None)
        return (version, commit_id, status, status is not None, commit_id, *none, offer)
    digest, names = event.content_digest, names_of(entry, event.content)
    content = (version, digest, names, True, event.sent_digest)
    return (version, commit_id, status, status is not None, commit_id, *content, offer)


def _later_change(earlier: Values, later: Values) -> Values:
    """Returns the parameters of `_UPDATE` that make two changes of an offer at once."""
    status = later[2:5] if later[3] else earlier[2:5]
    content = later[5:10] if later[8] else earlier[5:10]
    return (*later[:2], *status, *content, later[10])


def _changed_row(row: Values, change: Values) -> Values:
    """Returns what `_UPDATE` makes of a row that `_created_row` has returned."""
    version, commit_id, status, has_status, status_commit, *content, _offer = change
    content_version, digest, names, has_content, sent_digest = content
    if not has_status:
        status, status_commit = row[5], row[14]
    if not has_content:
        content_version, digest, sent_digest, names = row[7], row[8], row[9], row[11]
    ids = (content_version, digest, sent_digest, row[10], names, row[12])
    return (*row[:5], status, version, *ids, commit_id, status_commit)
