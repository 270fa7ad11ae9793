"""Writes export files, and names their ranges."""

import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from api.access.private_files import atomic_file

STANDARD_OUTPUT = "-"


class NotContiguous(Exception):
    """The new events do not start where the exported ones end, so some would be missing or duplicate."""


class OtherLedger(Exception):
    """The exported events are of another ledger, or of this one before a restore."""


class ExportRange(Struct, frozen=True):
    """The events of an export: those after position `after` up to `until`. `partner` is None for all partners.

    `ledger` is the ledger's name. Versions without the command `restore` did not write it."""

    after: int
    until: int
    partner: str | None
    ledger: str | None = None


def write_export(pieces: Iterable[bytes], out: str) -> None:
    """Writes to a new file, or to standard output for `-`. Raises OutputExists, OSError."""
    if out == STANDARD_OUTPUT:
        sys.stdout.buffer.writelines(pieces)
        return
    with atomic_file(Path(out)) as path, path.open("wb") as file:
        file.writelines(pieces)
