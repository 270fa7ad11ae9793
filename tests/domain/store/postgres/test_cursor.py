"""Does it make no difference that PostgreSQL hears later what it is only told?"""

import time
from collections.abc import Iterator

import pytest
from eventsourcing.persistence import IntegrityError

from api.settings import Settings
from domain.store.cursor import Cursor
from domain.store.database import Database
from domain.store.errors import TransactionRolledBack
from domain.store.factory import open_database
from domain.store.postgres.cursor import FEW_ROWS, FEW_ROWS_FOR_A_TABLE
from tests.support.engine import only_postgres

pytestmark = only_postgres

MANY = 3 * FEW_ROWS
INSERT = "INSERT INTO told VALUES (?, ?)"
UNLESS_THERE = " ON CONFLICT (told_id) DO UPDATE SET word = told.word || ', ' || excluded.word"


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    found = open_database(settings.database_location)
    with found.schema_change() as tx:
        tx.execute(f'CREATE SCHEMA "{settings.database_schema}"')
        tx.execute("CREATE TABLE told (told_id INTEGER PRIMARY KEY, word TEXT NOT NULL)")
    yield found
    found.close()


def words(tx: Cursor) -> list[str]:
    return [row["word"] for row in tx.execute("SELECT word FROM told ORDER BY told_id")]


def test_a_question_sees_all_that_was_told_before_it(database: Database) -> None:
    with database.schema_change() as tx:
        tx.executemany(INSERT, [(1, "a"), (2, "b")])
        tx.execute("UPDATE told SET word = 'c' WHERE told_id = ?", (2,))
        tx.execute("DELETE FROM told WHERE told_id = 1")
        assert words(tx) == ["c"]


def test_what_is_told_may_be_large(database: Database) -> None:
    large = "a" * 6_000_000  # more than a socket takes at once
    with database.schema_change() as tx:
        tx.execute("SET LOCAL idle_in_transaction_session_timeout TO 5000")
        tx.execute(INSERT, (1, large))
        assert words(tx) == [large]


def test_many_rows_follow_what_was_told_before_them(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute("INSERT INTO told SELECT 0, ?", ("first",))
        tx.executemany(f"{INSERT} ON CONFLICT DO NOTHING", ((n, "many") for n in range(MANY)))
        tx.execute_set(INSERT, ((n, "copied") for n in range(MANY, 2 * MANY)))
        assert words(tx) == ["first", *["many"] * (MANY - 1), *["copied"] * MANY]


@pytest.mark.parametrize("many", [2, FEW_ROWS, 2 * FEW_ROWS_FOR_A_TABLE])
def test_it_makes_no_difference_how_many_rows_are_a_set(database: Database, many: int) -> None:
    with database.schema_change() as tx:
        for each in ("old", "new"):  # the second time into what is left of the first
            tx.execute_set(INSERT + UNLESS_THERE, [(n, each) for n in range(many)])
        assert words(tx) == ["old, new"] * many
        tx.execute_set("UPDATE told SET word = word || ? WHERE told_id = ?", [("!", n) for n in range(1, many)])
        assert words(tx) == ["old, new", *["old, new!"] * (many - 1)]
        tx.execute_set(
            "INSERT INTO told SELECT one.told_id, ? || coalesce(before.word, 'none')"
            " FROM (SELECT CAST(? AS BIGINT) AS told_id) one LEFT JOIN told before ON before.told_id = one.told_id - 1",
            [("after ", n) for n in range(many, 3 * many, 2)],
        )
        assert words(tx)[many:] == ["after old, new!", *["after none"] * (many - 1)]


def test_a_set_can_come_again_after_what_was_begun_is_taken_back(database: Database) -> None:
    rows = [(n, "a") for n in range(FEW_ROWS_FOR_A_TABLE)]
    with database.schema_change() as tx:
        for end in ("ROLLBACK TO one", "RELEASE one"):
            tx.execute("SAVEPOINT one")
            tx.execute_set(INSERT + UNLESS_THERE, rows)
            tx.execute(end)
        assert words(tx) == ["a"] * len(rows)


def test_what_can_t_be_done_for_many_is_not_done(database: Database) -> None:
    with pytest.raises(ValueError, match="DELETE"), database.schema_change() as tx:
        tx.execute_set("DELETE FROM told WHERE told_id = ?", [(n,) for n in range(FEW_ROWS_FOR_A_TABLE)])


def test_rows_that_come_one_after_the_other_follow_what_was_told_before_them(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute(INSERT, (1, "a"))
        assert [row["word"] for row in tx.each("SELECT word FROM told")] == ["a"]


def test_what_was_only_told_is_answered_by_nothing(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute(INSERT, (1, "a"))
        assert words(tx) == ["a"]
        tx.execute(INSERT, (2, "b"))
        assert (tx.fetchone(), tx.fetchall(), list(tx)) == (None, [], [])
        returned = tx.execute("UPDATE told SET word = 'c' WHERE told_id = 2 RETURNING word").fetchone()
        assert returned["word"] == "c"


def test_what_is_told_and_nothing_is_asked_after_is_kept(database: Database) -> None:
    with database.schema_change() as tx:
        tx.execute(INSERT, (1, "a"))
    with database.read_any_schema() as tx:
        assert words(tx) == ["a"]


def tell_one_twice(tx: Cursor) -> None:
    tx.execute(INSERT, (1, "a"))
    tx.execute(INSERT, (1, "b"))
    tx.execute(INSERT, (2, "c"))


def test_what_fails_at_the_end_has_kept_nothing_and_the_connection_is_used_again(database: Database) -> None:
    with pytest.raises(IntegrityError), database.schema_change() as tx:
        tell_one_twice(tx)
    with database.schema_change() as tx:
        assert words(tx) == []


def tell_nothing(tx: Cursor) -> None:
    tx.execute(INSERT, (1, None))
    words(tx)


def test_what_fails_before_a_question_fails_there(database: Database) -> None:
    with pytest.raises(IntegrityError), database.schema_change() as tx:
        tell_nothing(tx)


def give_up_while_reading(tx: Cursor) -> Iterator[object]:
    rows = tx.each("SELECT n FROM generate_series(1, 1000000) n")
    next(rows)
    raise GivenUpError


def test_who_gives_up_while_rows_are_coming_gives_up_though_somebody_holds_them(database: Database) -> None:
    with pytest.raises(GivenUpError), database.read_any_schema() as tx:
        give_up_while_reading(tx)


class GivenUpError(Exception):
    """Somebody's own reason."""


def give_up(tx: Cursor) -> None:
    tx.execute(INSERT, (1, "a"))
    raise GivenUpError


def test_what_was_given_up_is_not_told(database: Database) -> None:
    with pytest.raises(GivenUpError), database.schema_change() as tx:
        give_up(tx)
    with database.read_any_schema() as tx:
        assert words(tx) == []


def stand_still(tx: Cursor) -> None:
    tx.execute("SET LOCAL idle_in_transaction_session_timeout TO '100ms'")
    tx.execute(INSERT, (1, "a"))
    words(tx)
    time.sleep(1)
    words(tx)


def test_who_stands_still_after_it_has_told_something_is_ended(database: Database) -> None:
    with pytest.raises(TransactionRolledBack), database.schema_change() as tx:
        stand_still(tx)
