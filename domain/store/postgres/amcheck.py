"""Checks the tables and indexes of a PostgreSQL ledger with the functions of the extension amcheck."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from domain.store.cursor import Cursor
from domain.store.database import MAX_DAMAGE, NotChecked, StorageCheck
from domain.store.errors import DamagedStorage

EXTENSION = "amcheck"
_INDEXES, _TABLES = "indexes", "tables"
_FUNCTIONS = {
    _INDEXES: "bt_index_check(regclass, boolean)",
    _TABLES: "verify_heapam(regclass, boolean, boolean, text, bigint, bigint)",
}

Read = Callable[[], AbstractContextManager[Cursor]]
"""Opens a transaction that reads."""


def check_relations(read: Read, schema: str) -> StorageCheck:
    """Checks each index, that it has all rows of its table, and each table with its large values.

    Returns what it did not check and why, if the server has no amcheck, or the role may not use it."""
    with read() as tx:
        place = _find_extension(tx)
        if isinstance(place, str):
            return StorageCheck([], [NotChecked(f"{_INDEXES} and {_TABLES} of PostgreSQL", place)])
        reasons = {what: _obstacle(tx, place["schema"], function) for what, function in _FUNCTIONS.items()}
        names = {what: _names(tx, schema, kind) for what, kind in ((_INDEXES, "i"), (_TABLES, "r"))}
    damage: list[str] = []
    for what, statement in _statements(place["quoted"]).items():
        if reasons[what] is None:
            for name in names[what]:
                damage += [f"{name}: {text}" for text in _damage_of(read, statement, name)]
    missing = [NotChecked(f"{what} of PostgreSQL", reason) for what, reason in reasons.items() if reason]
    return StorageCheck(damage[:MAX_DAMAGE], missing)


def _find_extension(tx: Cursor) -> Any:
    """Returns the row with the extension's schema, or the reason why there is none."""
    row = tx.execute(
        "SELECT n.nspname AS schema, quote_ident(n.nspname) AS quoted"
        " FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = ?",
        (EXTENSION,),
    ).fetchone()
    if row is not None:
        return row
    is_available = tx.execute("SELECT 1 FROM pg_available_extensions WHERE name = ?", (EXTENSION,)).fetchone()
    if is_available is None:
        return f"the server does not have the extension {EXTENSION}"
    return f"the database does not have the extension {EXTENSION}; a superuser can run: CREATE EXTENSION {EXTENSION}"


def _obstacle(tx: Cursor, schema: str, function: str) -> str | None:
    """Returns why the role can't call a function of the extension, or None if it can."""
    row = tx.execute(
        "SELECT current_user AS role, to_regprocedure(quote_ident(?) || '.' || ?) AS function,"
        " has_schema_privilege(?, 'USAGE') AND coalesce("
        "has_function_privilege(to_regprocedure(quote_ident(?) || '.' || ?), 'EXECUTE'), FALSE) AS may_call",
        (schema, function, schema, schema, function),
    ).fetchone()
    if row["function"] is None:
        return f"the extension {EXTENSION} is older than the server; run: ALTER EXTENSION {EXTENSION} UPDATE"
    if not row["may_call"]:
        return f"the role {row['role']} may not call {function.partition('(')[0]} of the extension {EXTENSION}"
    return None


def _names(tx: Cursor, schema: str, kind: str) -> list[str]:
    """Returns the names of the B-tree indexes or of the tables. Unlogged ones are left out: a standby can't read them."""
    rows = tx.execute(
        "SELECT CAST(c.oid AS regclass)::text AS name FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
        " LEFT JOIN pg_index i ON i.indexrelid = c.oid"
        " WHERE c.relnamespace = ?::regnamespace AND c.relkind = ? AND c.relpersistence = 'p'"
        " AND a.amname IN ('btree', 'heap') AND coalesce(i.indisvalid, TRUE) ORDER BY c.relname",
        (f'"{schema}"', kind),
    )
    return [row["name"] for row in rows]


def _statements(schema: str) -> dict[str, str]:
    return {
        _INDEXES: f"SELECT CAST({schema}.bt_index_check(CAST(? AS regclass), TRUE) AS text) AS damage",
        _TABLES: f"SELECT concat('block ', blkno, ', row ', offnum, ': ', msg) AS damage"
        f" FROM {schema}.verify_heapam(relation => CAST(? AS regclass), check_toast => TRUE) LIMIT {MAX_DAMAGE}",
    }


def _damage_of(read: Read, statement: str, name: str) -> Iterator[str]:
    # A transaction of its own: an error ends it.
    try:
        with read() as tx:
            rows = tx.execute(statement, (name,)).fetchall()
    except DamagedStorage as error:
        yield str(error)
    else:
        yield from (row["damage"] for row in rows if row["damage"])
