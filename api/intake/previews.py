"""Reads the id and the text of the content of an item before the item is validated."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from api.parsing.item_list import too_many_values
from domain.offers.value_count import BYTES_PER_VALUE

VALUES_BESIDE_CONTENT = 100
"""The most values of an item that do not belong to its content, if the content has as many values as it may have."""


class ItemPreview(Struct, frozen=True, gc=False, rename="camel"):
    """Members of an item that are read before it is validated. They are reliable only if the item is valid."""

    external_id: str
    offer_data: tuple[Raw, ...] | None = None

    @property
    def content(self) -> Raw:
        return self.offer_data[0] if self.offer_data else Raw(b"null")


class _ObjectItemPreview(Struct, frozen=True, gc=False, rename="camel"):
    external_id: str
    offer_data: Raw = Raw(b"null")


class PreviewedItems(NamedTuple):
    """Items and their previews, which share the memory of one text. The text is kept as long as one of them is."""

    elements: list[Raw]
    previews: list[ItemPreview | None]


def preview_items(elements: Sequence[Raw], max_values: int) -> PreviewedItems:
    if max(map(len, elements), default=0) < BYTES_PER_VALUE * max_values:
        text = b"[%b]" % b",".join(elements)
        with suppress(msgspec.DecodeError, RecursionError):
            return PreviewedItems(_decode_elements(text), [*_decode_previews(text)])
    return PreviewedItems([*elements], [preview_of(element, max_values) for element in elements])


def preview_of(element: Raw, max_values: int) -> ItemPreview | None:
    try:
        # The elements of a list are not read if they are very many.
        if not too_many_values(element, max_values, beside=VALUES_BESIDE_CONTENT):
            return _decode_preview(element)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        object_preview = _decode_object_preview(element)
    except (msgspec.DecodeError, RecursionError):
        return None
    return ItemPreview(object_preview.external_id, (object_preview.offer_data,))


_decode_elements = msgspec.json.Decoder(list[Raw]).decode
_decode_previews = msgspec.json.Decoder(list[ItemPreview]).decode
_decode_preview = msgspec.json.Decoder(ItemPreview).decode
_decode_object_preview = msgspec.json.Decoder(_ObjectItemPreview).decode
