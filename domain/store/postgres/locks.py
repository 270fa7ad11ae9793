"""The locks of a ledger in PostgreSQL, and the order in which transactions take them.

A lock ends with its transaction, even if the process dies. The first two are table locks; the others are advisory locks.
Every transaction takes them in this order:

    schema   shared by every transaction; exclusive for one that creates or migrates the ledger, after all others have ended.
    head     shared by every transaction that reads a snapshot.
    scope    exclusive for the bulk write of a run; shared by single requests that wait for it.
    storing  shared by every bulk write; exclusive for `exclusive_write`.
    ledger   exclusive for short writes, and for a bulk write once it seals its commit.

One exception: a transaction that replaces tables locks `head` last, and briefly. A snapshot that is older than the new tables
must not read them. Row locks are taken only by the holder of the ledger lock, and by the bulk write of a run. A bulk write locks
rows of its scope, and images; all transactions insert images in the same order.
"""

from collections.abc import Collection
from hashlib import blake2b

from domain.store.cursor import Cursor, Lookup
from domain.store.database import STALLED_SECONDS
from domain.values import Scope

_BEGIN_ANY = "BEGIN ISOLATION LEVEL READ COMMITTED"
_SCHEMA = "LOCK TABLE schema_version IN ACCESS SHARE MODE"
_BEGIN = f"{_BEGIN_ANY}; {_SCHEMA}"
READ_CLOCK = "SELECT clock_timestamp() AS begun_at"
# LOCK TABLE precedes the snapshot: a transaction that has waited for the lock sees the state after the wait.
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE schema_version, head IN ACCESS SHARE MODE"
BEGIN_READ = f"{_BEGIN_READ}; {READ_CLOCK}"
_WHOLE_SCHEMA = (
    "DO $$ BEGIN IF to_regclass('schema_version') IS NOT NULL THEN"
    " LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE; END IF; END $$"
)


class Locks:
    """Lock statements and keys for the ledger in one schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._ledger = self._key("ledger")
        self.acquire_ledger = f"SELECT pg_advisory_xact_lock({self._ledger})"
        # The time is read under the lock, so it is not before the recorded time of any other commit.
        self._acquire_ledger_and_read_clock = f"{self.acquire_ledger}; {READ_CLOCK}"
        self.begin_write = f"{_BEGIN}; {self._acquire_ledger_and_read_clock}"
        storing = f"SELECT pg_advisory_xact_lock({self._key('storing')})"
        self.begin_exclusive_write = f"{_BEGIN}; {storing}; {self._acquire_ledger_and_read_clock}"
        # An operator watches a migration, so it has no idle timeout: a step may compute for long without a statement.
        # The advisory lock excludes other schema changes before the tables exist.
        no_timeout = "SET LOCAL idle_in_transaction_session_timeout TO 0"
        changing_schema = f"SELECT pg_advisory_xact_lock({self._key('remaking')})"
        self.begin_schema_change = f"{_BEGIN_ANY}; {no_timeout}; {changing_schema}; {_WHOLE_SCHEMA}"

    def begin_write_after(self, scope: Scope) -> str:
        scope_lock = f"SELECT pg_advisory_xact_lock_shared({self._scope_key(scope)})"
        return f"{_BEGIN}; {scope_lock}; {self._acquire_ledger_and_read_clock}"

    def begin_bulk_write(self, scope: Scope | None) -> str:
        if scope is None:
            return _BEGIN
        storing = f"SELECT pg_advisory_xact_lock_shared({self._key('storing')})"
        return f"{_BEGIN}; SELECT pg_advisory_xact_lock({self._scope_key(scope)}); {storing}"

    def busy_scopes(self, scopes: Collection[Scope]) -> Lookup[set[Scope]]:
        """Returns the scopes in which a bulk write runs, and locks the other scopes against one until the transaction ends."""
        by_key = {self._scope_key(scope): scope for scope in scopes}
        return Lookup(
            "SELECT key FROM unnest(?::bigint[]) AS key WHERE NOT pg_try_advisory_xact_lock_shared(key)",
            ([*by_key],),
            lambda rows: {by_key[key] for (key,) in rows},
        )

    def terminate_scope_writer(self, tx: Cursor, scope: Scope) -> int:
        """Terminates the connection that holds the exclusive lock of a scope."""
        return _terminate_holders(tx, "l.mode = 'ExclusiveLock'", self._scope_key(scope))

    def terminate_stalled_writers(self, tx: Cursor) -> int:
        """Terminates a connection that holds the ledger lock and from which PostgreSQL has been waiting for a statement."""
        stalled = f"a.wait_event = 'ClientRead' AND a.state_change < clock_timestamp() - interval '{STALLED_SECONDS}s'"
        return _terminate_holders(tx, stalled, self._ledger)

    def _scope_key(self, scope: Scope) -> int:
        return self._key("scope", *scope)

    def _key(self, *names: str) -> int:
        digest = blake2b("\0".join(("offer-ledger", self._schema, *names)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, signed=True)


def _terminate_holders(tx: Cursor, condition: str, key: int) -> int:
    """Terminates the connections that hold an advisory lock and match a condition; the role must be the same as theirs."""
    # pg_locks shows a 64-bit key as two halves.
    rows = tx.execute(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = a.datid"
        f" AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {condition}"
        " AND (l.classid::bigint << 32) | l.objid::bigint = ?",
        (key,),
    ).fetchall()
    return len(rows)
