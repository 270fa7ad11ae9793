"""Queued statements and bulk statements have the same effect as statements that run at once."""

import time
from collections.abc import Iterator

import pytest
from eventsourcing.persistence import IntegrityError

from api.settings import Settings
from domain.store.cursor import Cursor
from domain.store.database import Database
from domain.store.errors import TransactionRolledBack
from domain.store.factory import open_database
from domain.store.postgres.cursor import MIN_ROWS_FOR_TEMP_TABLE, MIN_ROWS_TO_COPY
from tests.support.engine import only_postgres

pytestmark = only_postgres

MANY = 3 * MIN_ROWS_TO_COPY
INSERT = "INSERT INTO words VALUES (?, ?)"
OR_APPEND = " ON CONFLICT (word_id) DO UPDATE SET word = words.word || ', ' || excluded.word"


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings.database_location)
    with opened.schema_change() as tx:
        tx.execute(f'CREATE SCHEMA "{settings.database_schema}"')
        tx.execute("CREATE TABLE words (word_id INTEGER PRIMARY KEY, word TEXT NOT NULL)")
    yield opened
    opened.close()


def words(tx: Cursor) -> list[str]:
    return [row["word"] for row in tx.execute("SELECT word FROM words ORDER BY word_id")]


def test_query_sees_all_statements_before_it(database: Database) -> None:
    with database.schema_change() as tx:
        tx.executemany(INSERT, [(1, "a"), (2, "b")])
        tx.execute("UPDATE words SET word = 'c' WHERE word_id = ?", (2,))
        tx.execute("DELETE FROM words WHERE word_id = 1")
        assert words(tx) == ["c"]


def test_queued_parameters_may_exceed_a_socket_buffer(database: Database) -> None:
    large = "a" * 6_000_000  # larger than a socket buffer
    with database.schema_change() as tx:
        tx.execute("SET LOCAL idle_in_transaction_session_timeout TO 5000")
        tx.execute(INSERT, (1, large))
        assert words(tx) == [large]


def test_copied_rows_follow_earlier_statements(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute("INSERT INTO words SELECT 0, ?", ("first",))
        tx.executemany(f"{INSERT} ON CONFLICT DO NOTHING", ((n, "many") for n in range(MANY)))
        tx.execute_set(INSERT, ((n, "copied") for n in range(MANY, 2 * MANY)))
        assert words(tx) == ["first", *["many"] * (MANY - 1), *["copied"] * MANY]


@pytest.mark.parametrize("many", [2, MIN_ROWS_TO_COPY, 2 * MIN_ROWS_FOR_TEMP_TABLE])
def test_set_has_the_same_effect_for_any_number_of_rows(database: Database, many: int) -> None:
    with database.schema_change() as tx:
        for each in ("old", "new"):  # the second round reuses the temporary table
            tx.execute_set(INSERT + OR_APPEND, [(n, each) for n in range(many)])
        assert words(tx) == ["old, new"] * many
        tx.execute_set("UPDATE words SET word = word || ? WHERE word_id = ?", [("!", n) for n in range(1, many)])
        assert words(tx) == ["old, new", *["old, new!"] * (many - 1)]
        tx.execute_set(
            "INSERT INTO words SELECT one.word_id, ? || coalesce(before.word, 'none')"
            " FROM (SELECT CAST(? AS BIGINT) AS word_id) one LEFT JOIN words before ON before.word_id = one.word_id - 1",
            [("after ", n) for n in range(many, 3 * many, 2)],
        )
        assert words(tx)[many:] == ["after old, new!", *["after none"] * (many - 1)]


def test_set_can_be_repeated_after_a_rollback_to_savepoint(database: Database) -> None:
    rows = [(n, "a") for n in range(MIN_ROWS_FOR_TEMP_TABLE)]
    with database.schema_change() as tx:
        for end in ("ROLLBACK TO one", "RELEASE one"):
            tx.execute("SAVEPOINT one")
            tx.execute_set(INSERT + OR_APPEND, rows)
            tx.execute(end)
        assert words(tx) == ["a"] * len(rows)


def test_set_rejects_a_statement_without_a_bulk_form(database: Database) -> None:
    with pytest.raises(ValueError, match="DELETE"), database.schema_change() as tx:
        tx.execute_set("DELETE FROM words WHERE word_id = ?", [(n,) for n in range(MIN_ROWS_FOR_TEMP_TABLE)])


def test_streamed_rows_follow_earlier_statements(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute(INSERT, (1, "a"))
        assert [row["word"] for row in tx.stream_rows("SELECT word FROM words")] == ["a"]


def test_queued_statement_returns_no_rows(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute(INSERT, (1, "a"))
        assert words(tx) == ["a"]
        tx.execute(INSERT, (2, "b"))
        assert (tx.fetchone(), tx.fetchall(), list(tx)) == (None, [], [])
        returned = tx.execute("UPDATE words SET word = 'c' WHERE word_id = 2 RETURNING word").fetchone()
        assert returned["word"] == "c"


def test_queued_statement_is_committed_without_a_query(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute(INSERT, (1, "a"))
    with database.read_any_schema() as tx:
        assert words(tx) == ["a"]


def insert_duplicate(tx: Cursor) -> None:
    tx.execute(INSERT, (1, "a"))
    tx.execute(INSERT, (1, "b"))
    tx.execute(INSERT, (2, "c"))


def test_failure_at_commit_rolls_back_and_keeps_the_connection_usable(database: Database) -> None:
    with pytest.raises(IntegrityError), database.schema_change() as tx:
        insert_duplicate(tx)
    with database.schema_change() as tx:
        assert words(tx) == []


def insert_null(tx: Cursor) -> None:
    tx.execute(INSERT, (1, None))
    words(tx)


def test_queued_statement_fails_at_the_next_query(database: Database) -> None:
    with pytest.raises(IntegrityError), database.schema_change() as tx:
        insert_null(tx)


def fail_while_reading(tx: Cursor) -> Iterator[object]:
    rows = tx.stream_rows("SELECT n FROM generate_series(1, 1000000) n")
    next(rows)
    raise CallerError


def test_transaction_rolls_back_with_an_open_stream(database: Database) -> None:
    with pytest.raises(CallerError), database.read_any_schema() as tx:
        fail_while_reading(tx)


class CallerError(Exception):
    """An error of the caller."""


def insert_and_fail(tx: Cursor) -> None:
    tx.execute(INSERT, (1, "a"))
    raise CallerError


def test_queued_statement_is_not_sent_after_an_error(database: Database) -> None:
    with pytest.raises(CallerError), database.schema_change() as tx:
        insert_and_fail(tx)
    with database.read_any_schema() as tx:
        assert words(tx) == []


def stall(tx: Cursor) -> None:
    tx.execute("SET LOCAL idle_in_transaction_session_timeout TO '100ms'")
    tx.execute(INSERT, (1, "a"))
    words(tx)
    time.sleep(1)
    words(tx)


def test_idle_transaction_is_terminated_after_a_pipeline(database: Database) -> None:
    with pytest.raises(TransactionRolledBack), database.schema_change() as tx:
        stall(tx)
