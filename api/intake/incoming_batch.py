"""Reads a batch ahead, while it still arrives: splits it, and computes the digests of its items.

Nothing here decides what is accepted. A body that is unusual in any way is left to `split_body`, which reads it from its
start and reports what is wrong with it.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from api.bounds.body import BodyBounds
from api.intake.item_parts import ItemPart, parts_of
from api.parsing.array_splitter import ArraySplitter, NeedsFullRead, Split
from api.parsing.item_list import LIST_MEMBER
from api.parsing.strict_json import NotAnObject, NotJson, TooLargeValue, TooManyElements, TooManyMembers
from domain.offers.offer import ABSENT, Offer

_LEFT_TO_OTHERS = (NeedsFullRead, NotJson, NotAnObject, TooLargeValue, TooManyElements, TooManyMembers, RecursionError)


class ReadBatch(NamedTuple):
    """A complete body: its envelope, without elements, and the parts with its items."""

    split: Split
    parts: deque[ItemPart]


class IncomingBatch:
    """Reads a batch that is fed in pieces of any size. `feed` and `end` never raise because of its content."""

    def __init__(self, bounds: BodyBounds) -> None:
        self._splitter: ArraySplitter | None = ArraySplitter(LIST_MEMBER, bounds, keep=True)
        self._max_values = bounds.max_values
        self.known: Mapping[str, Offer] = {}
        """Saves the work on items that an offer probably has already. It decides nothing."""
        self._parts: deque[ItemPart] = deque()
        self._split: Split | None = None

    def feed(self, piece: bytes) -> None:
        """Reads the next piece of the decoded body."""
        if self._splitter is None:
            return
        try:
            self._splitter.feed(piece)
        except _LEFT_TO_OTHERS:
            self._give_up()
        else:
            self._read_elements(self._splitter)

    def end(self) -> None:
        """Reads the last elements of the body, which is complete."""
        if self._splitter is None:
            return
        try:
            split = self._splitter.end()
        except _LEFT_TO_OTHERS:
            self._give_up()
            return
        self._read_elements(self._splitter)
        self._split, self._splitter = split, None

    @property
    def operation(self) -> object:
        """The operation as sent. None if it is not known yet, or if it comes after the list."""
        return self._splitter.members_before.get("operation") if self._splitter else None

    @property
    def split(self) -> Split | None:
        """The envelope of the complete body, without elements. None if the body must be read from its start."""
        return self._split

    def take(self) -> ReadBatch | None:
        """Returns the batch once, so that it is in memory only once. None if the body must be read from its start."""
        split, self._split = self._split, None
        return ReadBatch(split, self._parts) if split else None

    def _read_elements(self, splitter: ArraySplitter) -> None:
        for part in parts_of(splitter.take_elements(), self._max_values):
            self._parts.append(part)
            new = [
                number
                for number, (preview, sent_digest) in enumerate(zip(part.previews, part.sent_digests, strict=True))
                if preview is None or self.known.get(preview.external_id, ABSENT).sent_digest != sent_digest
            ]
            part.compute_digests(new, self._max_values)

    def _give_up(self) -> None:
        self._splitter = None
        self._parts.clear()
