"""One sentence reports that PostgreSQL can't be reached, and one that it is back."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from eventsourcing.persistence import OperationalError

from domain.store.database import DatabaseLocation
from domain.store.postgres import connections, outage
from domain.store.postgres.connections import PostgresConnections
from domain.store.postgres.outage import Outage


@contextmanager
def connected_to(port: int) -> Iterator[PostgresConnections]:
    database = PostgresConnections(DatabaseLocation(f"postgresql://ledger:swordfish@127.0.0.1:{port}/ledger"))
    try:
        yield database
    finally:
        database.close()


def error_of_a_read(port: int) -> str:
    """Starts three transactions, and returns the error of the last one."""
    with connected_to(port) as database:
        for _ in range(3):
            with pytest.raises(OperationalError) as error, database.read():
                pass
        return str(error.value)


def test_unreachable_server_is_reported_once_with_its_reason(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "POOL_TIMEOUT_SECONDS", 0.5)
    error = error_of_a_read(1)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("PostgreSQL can't be reached: ")
    assert line.endswith("Connection refused; every transaction tries to connect for 0.5 seconds")
    assert error.startswith("PostgreSQL can't be reached: ")
    assert error.endswith("Connection refused (waited 0.5 seconds)")
    assert "swordfish" not in line + error


def test_silent_server_is_reported_while_the_service_waits(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "POOL_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(outage, "SILENT_CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with connected_to(port) as database:
            with pytest.raises(OperationalError, match=r"it does not answer \(waited 0.3 seconds\)"), database.read():
                pass
            listener.accept()[0].close()
    assert caplog.text.count("PostgreSQL can't be reached: it does not answer") == 1


def fail(outage: Outage) -> None:
    with pytest.raises(psycopg.OperationalError), outage.watching():
        raise psycopg.OperationalError("the server starts\nand more")


def test_end_of_an_outage_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(10)
    for _ in range(2):
        fail(outage)
        fail(outage)
        assert outage.find_reason() == "the server starts"
        for _ in range(2):
            with outage.watching():
                pass
        assert outage.find_reason() is None
    began = "PostgreSQL can't be reached: the server starts; every transaction tries to connect for 10 seconds"
    assert [record.getMessage() for record in caplog.records] == [began, "PostgreSQL can be reached again"] * 2
