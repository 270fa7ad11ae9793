"""Documents with lists of a run's items, which are read part by part: they can take more memory than the request did."""

from collections.abc import Callable, Iterator

import msgspec

from domain.ledgers.ledger import LedgerReader
from domain.runs.run import ItemOutcome, Run
from domain.store.records.compression import decompress, decompress_pieces
from domain.store.records.run_outcomes import next_packed_outcome

BYTES_PER_PIECE = 64 * 1024
_MARK = b"\0"
"""No JSON has this byte."""

ItemEncoder = Callable[[str, list[ItemOutcome]], bytes]
"""Encodes items with an outcome as a JSON array."""


def list_of_items(outcome: str = "") -> msgspec.Raw:
    """Returns a placeholder for the list of a run's items with this outcome; by default, of all its items."""
    return msgspec.Raw(_MARK + outcome.encode() + _MARK)


def reply_pieces(ledger: LedgerReader, run: Run, document: bytes, encode: ItemEncoder | None = None) -> Iterator[bytes]:
    """Yields an encoded document whose placeholders are replaced by lists of the run's items.

    The outcomes of a finished run never change, so each part is read in a snapshot of its own. Without `encode`, the
    stored JSON is copied."""
    for number, text in enumerate(document.split(_MARK)):
        if number % 2 == 0:
            yield text
        else:
            yield b"["
            yield from _items(ledger, run, text.decode() or None, encode)
            yield b"]"


def _items(ledger: LedgerReader, run: Run, outcome: str | None, encode: ItemEncoder | None) -> Iterator[bytes]:
    place = 0
    while True:
        with ledger.read() as tx:
            part = next_packed_outcome(tx, run.run_id, outcome, place)
        if part is None:
            return
        if place:
            yield b","
        place = part.first_item + part.item_count
        if encode is None:
            yield from _without_brackets(decompress_pieces(part.items, BYTES_PER_PIECE))
        else:
            yield encode(part.outcome, msgspec.json.decode(decompress(part.items), type=list[ItemOutcome]))[1:-1]


def _without_brackets(array: Iterator[bytes]) -> Iterator[bytes]:
    last = next(array)[1:]
    for piece in array:
        yield last
        last = piece
    yield last[:-1]
