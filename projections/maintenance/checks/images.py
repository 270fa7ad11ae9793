"""Compares images with their digests, and with the events that refer to them."""

import hashlib
from collections.abc import Iterator, Sequence

from domain.events import OfferCreated, OfferRestored, OfferUpdated
from domain.ledgers.ledger import Entry
from domain.store.cursor import Cursor
from projections.maintenance.table_diff import Difference


def images_of(entries: Sequence[Entry]) -> Iterator[str]:
    """Yields the digests of the images that these entries refer to."""
    for entry in entries:
        if isinstance(entry.event, OfferCreated | OfferUpdated | OfferRestored):
            yield from entry.event.images


def broken_images(tx: Cursor, referred: set[str]) -> Iterator[Difference]:
    """Yields images that do not match their digest, and missing images that events refer to."""
    for row in tx.stream_rows("SELECT digest, literal FROM images"):
        digest = _bytes(row["digest"]).hex()
        if (found := hashlib.sha256(_bytes(row["literal"])).hexdigest()) != digest:
            yield Difference(f"image {digest}", {"digest": found}, {"digest": digest})
        referred.discard(digest)
    for digest in sorted(referred):
        yield Difference(f"image {digest}", None, {"digest": digest})


def _bytes(value: bytes | str) -> bytes:
    # A change by hand can also have changed the type of the value.
    return value.encode() if isinstance(value, str) else value
