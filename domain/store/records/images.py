"""Where are inline images kept? Beside the events, each once, however many offers show it."""

from collections.abc import Iterable, Sequence

from msgspec import Raw

from domain.offers.images import Image, restore
from domain.store.cursor import Cursor


def insert_images(tx: Cursor, images: Iterable[Image]) -> None:
    tx.executemany(
        "INSERT INTO images (digest, literal) VALUES (?, ?) ON CONFLICT DO NOTHING",
        # In one order, so that no two wait for each other.
        ((bytes.fromhex(image.digest), image.literal) for image in sorted(images, key=lambda image: image.digest)),
    )


def whole_text(tx: Cursor, content: Raw, digests: Sequence[str]) -> bytes:
    """A content's text as it was sent, with its images in their places."""
    text = bytes(content)
    return restore(text, find_images(tx, digests)) if digests else text


def find_images(tx: Cursor, digests: Sequence[str]) -> list[Image]:
    """In the order of the digests. Raises KeyError for one that is not there."""
    found = {}
    for digest in digests:
        row = tx.execute("SELECT literal FROM images WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
        if row is None:
            raise KeyError(f"image {digest}")
        found[digest] = Image(digest, bytes(row["literal"]))
    return [found[digest] for digest in digests]
