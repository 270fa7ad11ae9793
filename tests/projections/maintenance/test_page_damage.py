"""Verification of a SQLite file with changed bytes reports them, unless no table has changed."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from api.cli.actions.errors import exit_if_expected
from api.settings import Settings
from api.wiring import open_service
from domain.store.sqlite.connections import PAGE_BYTES, SqliteCursor
from domain.store.sqlite.driver import connect
from projections.maintenance.verification import verify_ledger
from tests.support.engine import IS_POSTGRES
from tests.support.harness import Clock
from tests.support.histories.full_ledger import record_everything
from tests.support.verification.undetected import UNDETECTED_COLUMNS

pytestmark = pytest.mark.skipif(IS_POSTGRES, reason="Damages a file of SQLite.")

SAMPLED_PAGES = 10
DAMAGE_BYTES = (1, 40, PAGE_BYTES // 2)
Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger that has something in every table."""
    file, clock = Path(tmp_path_factory.mktemp("sound")) / "ledger.db", Clock()
    with open_service(Settings(database_url=f"sqlite:///{file}"), clock) as service:
        record_everything(service, clock)
    with closing(connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


def is_reported(file: Path) -> bool:
    """Returns whether `projections verify` exits with 1. Another exit or a traceback fails the test."""
    try:
        with open_service(Settings(database_url=f"sqlite:///{file}"), Clock(), may_create=False) as service:
            return bool(verify_ledger(service.ledger).differences)
    except Exception as error:  # noqa: BLE001 - as the command line does
        with pytest.raises(SystemExit, match="1"):
            exit_if_expected(error)
        return True


def tables_of(file: Path) -> Tables:
    """Returns the rows of all tables, which must be readable."""
    with closing(connect(file)) as connection:
        cursor = SqliteCursor(connection)
        names = [row["name"] for row in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: [dict(row) for row in cursor.execute(f"SELECT * FROM {name} NOT INDEXED ORDER BY rowid")]
            for name in names
        }


def changed_columns(before: Tables, after: Tables) -> Iterator[tuple[str, str]]:
    assert {name: len(rows) for name, rows in before.items()} == {name: len(rows) for name, rows in after.items()}
    for table, rows in before.items():
        for row, other in zip(rows, after[table], strict=True):
            yield from ((table, column) for column in row if row[column] != other[column])


def require_reported_or_harmless(sound: Path, file: Path, page: int) -> None:
    """Damages a page in several ways. Each is reported, or changes nothing but columns that are named as undetected."""
    for count in DAMAGE_BYTES:
        for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
            file.with_name(name).unlink(missing_ok=True)
        copy(sound, file)
        chance = random.Random(page * PAGE_BYTES + count)
        start = page * PAGE_BYTES + chance.randrange(PAGE_BYTES - count + 1)
        with file.open("r+b") as damaged:
            damaged.seek(start)
            flipped = bytes(byte ^ chance.randrange(1, 256) for byte in damaged.read(count))
            damaged.seek(start)
            damaged.write(flipped)
        if not is_reported(file):
            for table, column in changed_columns(tables_of(sound), tables_of(file)):
                assert column in UNDETECTED_COLUMNS.get(table, {}), (page, count, start, table, column)


def pages_of(file: Path) -> range:
    return range(file.stat().st_size // PAGE_BYTES)


def test_verification_reports_damaged_pages(sound: Path, tmp_path: Path) -> None:
    for page in random.Random(1).sample(pages_of(sound), SAMPLED_PAGES):
        require_reported_or_harmless(sound, tmp_path / "ledger.db", page)


@pytest.mark.long
def test_verification_reports_damage_of_every_page(sound: Path, tmp_path: Path) -> None:
    for page in pages_of(sound):
        require_reported_or_harmless(sound, tmp_path / "ledger.db", page)
