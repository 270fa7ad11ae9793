"""The table of connections: which connection is closed to make room for a new one."""

import logging

import pytest

from api.server.connections.table import MAX_LEAVING, REPORT_SECONDS, ConnectionTable


class FakeConnection:
    def __init__(self, holder: str | None = None, *, is_served: bool = False) -> None:
        self.holder, self.is_served = holder, is_served
        self.is_aborted = self.is_leaving = False

    def leave(self) -> None:
        self.is_leaving = True

    def abort(self) -> None:
        self.is_aborted = True


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def table_of(*connections: FakeConnection) -> ConnectionTable:
    table = ConnectionTable(len(connections), Seconds())
    for connection in connections:
        table.add(connection)
    return table


def closed_by(table: ConnectionTable, *connections: FakeConnection) -> list[int]:
    """Makes room once. Returns the places of the connections that are closed now."""
    assert table.make_room()
    return [place for place, connection in enumerate(connections) if connection.is_aborted]


def test_connection_that_has_waited_longest_is_closed() -> None:
    connections = [FakeConnection("a"), FakeConnection(), FakeConnection(), FakeConnection("a")]
    table = table_of(*connections)
    assert closed_by(table, *connections) == [1]
    assert len(table) == 3
    assert closed_by(table, *connections) == [1, 2]


def test_connection_waits_from_the_end_of_its_authenticated_request() -> None:
    connections = [FakeConnection(), FakeConnection(), FakeConnection()]
    table = table_of(*connections)
    table.end_request(connections[0])
    assert closed_by(table, *connections) == [1]


def test_connection_that_was_busy_waits_again() -> None:
    connections = [FakeConnection("a"), FakeConnection()]
    table = table_of(*connections)
    table.make_room()
    connections[0].holder = None
    table.end_request(connections[0])
    assert closed_by(table, *connections) == [0, 1]


def test_oldest_of_the_token_that_holds_most_is_closed() -> None:
    connections = [
        FakeConnection("a"),
        FakeConnection("b"),
        FakeConnection("b"),
        FakeConnection("a"),
        FakeConnection("b"),
    ]
    table = table_of(*connections)
    assert closed_by(table, *connections) == [1]
    table.add(FakeConnection("a"))
    assert closed_by(table, *connections) == [0, 1]


def test_connection_that_is_served_gets_its_reply() -> None:
    connections = [FakeConnection(is_served=True) for _ in range(MAX_LEAVING + 2)]
    table = table_of(*connections)
    assert closed_by(table, *connections) == []
    assert connections[0].is_leaving
    for _ in range(MAX_LEAVING):
        table.make_room()
    assert [connection.is_aborted for connection in connections].count(True) == 1
    table.remove(connections[0])
    table.make_room()
    assert connections[-1].is_leaving


def test_empty_table_has_no_room_to_make() -> None:
    connection = FakeConnection()
    table = table_of(connection)
    table.remove(connection)
    table.end_request(connection)
    assert not table.make_room()


def test_closed_connections_have_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "offer_ledger")
    clock = Seconds()
    table = ConnectionTable(100, clock)
    for _ in range(100):
        table.add(FakeConnection())
    for second in (0.0, 1.0, 59.0, REPORT_SECONDS, REPORT_SECONDS + 1):
        clock.now = second
        table.make_room()
    assert [record.getMessage() for record in caplog.records] == [
        "closed 1 connections to make room for new ones: all 100 were in use",
        "closed 3 connections to make room for new ones: all 100 were in use",
    ]
