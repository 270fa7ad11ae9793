"""The driver of SQLite: rows, errors, and locks."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from eventsourcing.persistence import DataError, IntegrityError, OperationalError, PersistenceError, ProgrammingError

from domain.store.cursor import MissingTable
from domain.store.errors import DamagedStorage
from domain.store.sqlite.connections import SqliteCursor
from domain.store.sqlite.driver import connect, translate_sqlite_errors

TRY_TO_WRITE = """
import sys
import apsw
try:
    apsw.Connection(sys.argv[1]).execute("INSERT INTO offers VALUES (2, 'two')")
except apsw.BusyError:
    sys.exit("the file is locked")
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    with closing(connect(tmp_path / "ledger.db")) as connection:
        connection.execute("CREATE TABLE offers (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO offers VALUES (1, 'one'), (5, 'five')")
        yield connection


@pytest.fixture
def cursor(connection: apsw.Connection) -> SqliteCursor:
    return SqliteCursor(connection)


def test_row_is_read_by_name_and_by_index(cursor: SqliteCursor) -> None:
    row = cursor.execute("SELECT id, name, 7 AS id FROM offers").fetchone()
    assert (row["id"], row["name"], row[2], dict(row)) == (1, "one", 7, {"id": 1, "name": "one"})
    assert tuple(row) == (1, "one", 7)


def test_result_is_read_row_by_row_or_at_once(cursor: SqliteCursor) -> None:
    query = "SELECT * FROM offers ORDER BY id"
    assert [row["name"] for row in cursor.execute(query)] == ["one", "five"]
    assert [row["name"] for row in cursor.execute(query).fetchall()] == ["one", "five"]
    assert cursor.execute(query).fetchone()["name"] == "one"
    assert [cursor.fetchone()["name"], cursor.fetchone()] == ["five", None]


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM offers WHERE id = 9", "UPDATE offers SET name = 'x' WHERE id = 9"]
)
def test_statement_without_rows_has_an_empty_result(cursor: SqliteCursor, statement: str) -> None:
    assert (cursor.execute(statement).fetchone(), cursor.fetchall(), list(cursor)) == (None, [], [])


@pytest.mark.parametrize(
    ("statement", "values", "error"),
    [
        ("SELECT * FROM absent", (), MissingTable),
        ("INSERT INTO offers VALUES (1, 'again')", (), IntegrityError),
        ("INSERT INTO offers VALUES ('text', 'two')", (), IntegrityError),
        ("SELECT zeroblob(2000000000)", (), DataError),
        ("SELECT ?", (), ProgrammingError),
        ("SELECT unknown FROM offers", (), OperationalError),
        ("SELECT CAST(x'ff' AS TEXT)", (), DamagedStorage),
    ],
)
def test_error_of_the_driver_becomes_one_of_the_library(
    cursor: SqliteCursor, statement: str, values: tuple[Any, ...], error: type[PersistenceError]
) -> None:
    with pytest.raises(PersistenceError) as raised, translate_sqlite_errors():
        cursor.execute(statement, values).fetchall()
    assert type(raised.value) is error


def test_missing_table_is_named(cursor: SqliteCursor) -> None:
    with pytest.raises(MissingTable) as raised, translate_sqlite_errors():
        cursor.execute("SELECT * FROM main.absent")
    assert raised.value.table == "absent"


def test_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is a letter, not a database.\n" * 100)
    with pytest.raises(DamagedStorage), translate_sqlite_errors(), closing(connect(tmp_path / "text.db")) as connection:
        connection.execute("SELECT * FROM sqlite_master")


def test_connection_that_closes_leaves_the_locks_of_others(connection: apsw.Connection, tmp_path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with closing(connect(tmp_path / "ledger.db")) as other:
        assert other.execute("SELECT count(*) FROM offers").get == 2
    command = [sys.executable, "-c", TRY_TO_WRITE, str(tmp_path / "ledger.db")]
    assert "the file is locked" in subprocess.run(command, capture_output=True, text=True, check=False).stderr
    connection.execute("ROLLBACK")
    assert subprocess.run(command, check=False).returncode == 0
