"""CSV files with cells of any length and any characters (RFC 4180)."""

import csv
from io import StringIO

import pytest
from msgspec import Struct

from api.audit.row_formats import LARGE_CELL, encode_csv

QUOTED = '"a", \r\n' * (LARGE_CELL // 6)


class _Row(Struct):
    first: str | None
    second: str | int | None


@pytest.mark.parametrize(
    "rows",
    [
        [_Row(QUOTED, 7), _Row("a", None)],
        [_Row("", QUOTED), _Row("b,c", "\u00e4" * LARGE_CELL + '"')],
        [_Row(None, "x" * (LARGE_CELL + 1)), _Row('"', "\n")],
    ],
)
def test_csv_reader_reads_the_large_cells_back(rows: list[_Row]) -> None:
    read = list(csv.reader(StringIO(encode_csv(rows).decode(), newline="")))
    assert read == [["" if cell is None else str(cell) for cell in (row.first, row.second)] for row in rows]


def test_small_cells_are_the_same_beside_large_ones() -> None:
    small = [_Row("a,b", None), _Row(None, '"'), _Row("", 1)]
    assert encode_csv([*small, _Row(QUOTED, 1)]).startswith(encode_csv(small))


def test_csv_writer_never_gets_a_large_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    new_writer = csv.writer

    class Writer:
        def __init__(self, text: StringIO) -> None:
            self._writer = new_writer(text)

        def writerow(self, row: list[object]) -> None:
            lengths.extend(len(str(cell)) for cell in row)
            self._writer.writerow(row)

    monkeypatch.setattr(csv, "writer", Writer)
    encode_csv([_Row(QUOTED, "small")])
    assert lengths
    assert max(lengths) <= LARGE_CELL
