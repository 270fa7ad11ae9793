"""Parts of a batch: consecutive items, and what is known of them before the ledger is read."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Raw, Struct

from api.intake.previews import ItemPreview, preview_items
from api.intake.usual_items import MAX_USUAL_BYTES, content_digests
from domain.offers.value_count import BYTES_PER_VALUE

ITEMS_PER_CALL = 500
"""Items that are decoded in one call. A message about progress follows each."""
NOT_COMPUTED: Final = ""
"""Stands for the digest of a content that nobody has needed yet."""

NO_ELEMENT: Final = Raw(b"")


class ItemPart(Struct, gc=False):
    """At most ITEMS_PER_CALL consecutive items. The lists have one value for each item."""

    elements: list[Raw]
    """The items as sent. One with a content digest is not needed any more: `NO_ELEMENT` replaces it."""
    previews: list[ItemPreview | None]
    sent_digests: list[str]
    content_digests: list[str | None]
    """As `usual_items.content_digests` computes them, or NOT_COMPUTED."""

    def compute_digests(self, numbers: Sequence[int], max_values: int) -> None:
        """Computes the content digests of some items, unless they are known already."""
        new = [number for number in numbers if self.content_digests[number] == NOT_COMPUTED]
        max_bytes = min(MAX_USUAL_BYTES, BYTES_PER_VALUE * max_values)
        digests = content_digests([self.elements[number] for number in new], max_bytes)
        for number, digest in zip(new, digests, strict=True):
            self.content_digests[number] = digest
            if digest is not None:
                self.elements[number] = NO_ELEMENT


def parts_of(elements: list[Raw], max_values: int) -> Iterator[ItemPart]:
    """Yields the parts of a batch without content digests. Empties the list, so that the batch is in memory only once."""
    while elements:
        part, previews = preview_items(elements[:ITEMS_PER_CALL], max_values)
        del elements[:ITEMS_PER_CALL]
        sent_digests = [hashlib.sha256(element).hexdigest() for element in part]
        yield ItemPart(part, previews, sent_digests, [NOT_COMPUTED] * len(part))
