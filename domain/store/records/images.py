"""Stores each inline image once, beside the events, even if many offers use it."""

from collections.abc import Iterable, Sequence

from msgspec import Raw

from domain.offers.images import Image, restore
from domain.store.cursor import Cursor


def insert_images(tx: Cursor, images: Iterable[Image]) -> None:
    tx.executemany(
        "INSERT INTO images (digest, literal) VALUES (?, ?) ON CONFLICT DO NOTHING",
        # All transactions insert in the same order, so that they can't deadlock.
        ((bytes.fromhex(image.digest), image.literal) for image in sorted(images, key=lambda image: image.digest)),
    )


def full_text(tx: Cursor, content: Raw, digests: Sequence[str]) -> bytes:
    """Returns a content's text as it was sent, with its inline images."""
    text = bytes(content)
    return restore(text, find_images(tx, digests)) if digests else text


def find_images(tx: Cursor, digests: Sequence[str]) -> list[Image]:
    """Returns the images in the order of the digests. Raises KeyError if one is missing."""
    images = {}
    for digest in digests:
        row = tx.execute("SELECT literal FROM images WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
        if row is None:
            raise KeyError(f"image {digest}")
        images[digest] = Image(digest, bytes(row["literal"]))
    return [images[digest] for digest in digests]
