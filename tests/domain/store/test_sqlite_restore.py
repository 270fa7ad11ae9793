"""The replacement of a ledger on SQLite, while other processes open the ledger or have been killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw
import pytest

from domain.store.sqlite.connections import SqliteConnections
from domain.store.sqlite.driver import connect
from domain.store.sqlite.restore import LedgerInUse, replacement_of
from tests.support.waiting import wait_until

REPLACE = """
import sys
from contextlib import closing
from pathlib import Path
from domain.store.sqlite.driver import connect
from domain.store.sqlite.restore import replacement_of
with replacement_of(Path(sys.argv[1])) as unfinished:
    with closing(connect(unfinished)) as database, database:
        database.execute("CREATE TABLE new (name TEXT)")
    print("ready", flush=True)
    sys.stdin.readline()
"""
OTHER_USER = 12_345


@contextmanager
def replacement_elsewhere(database: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that replaces the database, and waits for a line before it does."""
    command = [sys.executable, "-c", REPLACE, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def tables(database: Path) -> list[str]:
    with SqliteConnections(str(database)).schema_change() as tx:
        return [name for (name,) in tx.execute("SELECT name FROM sqlite_master")]


def create(database: Path) -> None:
    with closing(connect(database)) as connection:
        connection.execute("CREATE TABLE old (name TEXT)")


def is_open(database: Path) -> bool:
    return any(link.is_symlink() and link.resolve() == database for link in Path("/proc/self/fd").iterdir())


def test_no_process_creates_a_ledger_during_a_restore(tmp_path: Path) -> None:
    database = tmp_path / "ledger.db"
    with replacement_elsewhere(database):
        with (
            closing(apsw.Connection(str(database))) as other,
            pytest.raises(apsw.BusyError, match="locked"),
        ):
            other.execute("CREATE TABLE other (name TEXT)")
        with pytest.raises(LedgerInUse), replacement_of(database):
            raise AssertionError


def test_process_that_waited_opens_the_restored_ledger(tmp_path: Path) -> None:
    database = tmp_path / "ledger.db"
    create(database)
    with replacement_elsewhere(database) as process, ThreadPoolExecutor() as threads:
        waiting = threads.submit(tables, database)
        wait_until(lambda: is_open(database))
        process.communicate("go\n")
        assert waiting.result() == ["new"]


def test_failed_restore_leaves_no_ledger(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), replacement_of(tmp_path / "ledger.db") as unfinished:
        # SQLite leaves it when the disk is full.
        unfinished.with_name(f"{unfinished.name}-journal").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_restore_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    database = tmp_path / "ledger.db"
    create(database)
    with replacement_elsewhere(database) as process:
        process.kill()
    assert len(list(tmp_path.glob(".*"))) == 1
    with pytest.raises(ZeroDivisionError), replacement_of(database):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [database]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_files_that_root_creates_keep_the_owner(tmp_path: Path) -> None:
    database = tmp_path / "ledger.db"
    create(database)
    os.chown(database, OTHER_USER, OTHER_USER)
    with replacement_of(database) as unfinished:
        create(unfinished)
    connections = SqliteConnections(str(database))
    with connections.heartbeat_write():
        assert {path.stat().st_uid for path in tmp_path.iterdir()} == {OTHER_USER}
    connections.close()
