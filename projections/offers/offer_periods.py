"""How was every offer, at any position of the ledger?

A row for each version of an offer: it is that way until its next version. Rows carry (commit, ordinal), so that they can be
written before their commit has its place.
"""

from collections.abc import Sequence
from typing import Any, get_args

from domain.events import OfferCreated, OfferEvent, OfferRestored, OfferUpdated
from domain.ledgers.ledger import Entry
from domain.offers.offer import STATUS_AFTER
from domain.store.cursor import Cursor
from domain.values import Status
from projections.offers.search_terms import searched_names
from projections.projection import Projection, in_batches

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
"""`status_version`, `content_version`: the versions that set the status and the content; what stands last is told where a
content was set."""
# Nearly all periods are active, so nearly none of them are in these.
INDEXES = (
    "CREATE INDEX offer_periods_inactive ON offer_periods (offer_id) WHERE status <> 'active'",
    "CREATE INDEX offer_periods_rare ON offer_periods (status, offer_id, version, commit_id) WHERE status <> 'active'",
)


# How an event changes it


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    for some in in_batches(entries):
        offers = [(entry, entry.event) for entry in some if isinstance(entry.event, OfferEvent)]
        tx.execute_set(_NEW, [_first(entry, event) for entry, event in offers if isinstance(event, OfferCreated)])
        tx.execute_set(_NEXT, [_next(entry, event) for entry, event in offers if not isinstance(event, OfferCreated)])


_NEW = "INSERT INTO offer_periods VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NEXT = """
    INSERT INTO offer_periods
    SELECT one.offer_id, one.version, ?, ?, coalesce(?, before.status, 'absent'),
           coalesce(?, before.status_version, 0), coalesce(?, before.content_version, 0), ?, ?
    FROM (SELECT CAST(? AS BIGINT) AS offer_id, CAST(? AS BIGINT) AS version) one
    LEFT JOIN offer_periods before ON before.offer_id = one.offer_id AND before.version = one.version - 1
"""


def _first(entry: Entry, event: OfferCreated) -> tuple[Any, ...]:
    place = (entry.stream_id, entry.version, entry.commit_id, entry.ordinal)
    return (*place, Status.ACTIVE, entry.version, entry.version, event.content_digest, searched_names(event.content))


def _next(entry: Entry, event: OfferEvent) -> tuple[Any, ...]:
    """None leaves a column as it was."""
    status = STATUS_AFTER[type(event)]
    content: tuple[Any, ...] = (None, None, None)
    if isinstance(event, OfferUpdated | OfferRestored):
        content = (entry.version, event.content_digest, searched_names(event.content))
    set_at = entry.version if status else None
    return (entry.commit_id, entry.ordinal, status, set_at, *content, entry.stream_id, entry.version)


PROJECTION = Projection(
    name="offer_periods",
    key=("offer_id", "version"),
    table=TABLE,
    apply=apply,
    events=frozenset(get_args(OfferEvent)),
    indexes=INDEXES,
)


# How it is asked


AT_POSITION = """
    (SELECT q.version FROM offer_periods q JOIN commits qc ON qc.commit_id = q.commit_id
     WHERE q.offer_id = {offer_id} AND qc.first_position + q.ordinal <= ? ORDER BY q.version DESC LIMIT 1)
"""
"""An offer's version at a position, to be put into a query; null before it was created."""
STATUS_AT = """
    (SELECT q.status FROM offer_periods q JOIN commits qc ON qc.commit_id = q.commit_id
     WHERE q.offer_id = {offer_id} AND qc.recorded_at <= ? ORDER BY q.version DESC LIMIT 1)
"""
"""The same for its status at a recorded time, in microseconds."""
