"""Who waits for whom on PostgreSQL?

Locks end with their transactions, whatever becomes of a process. The first two are on tables, the others are advisory. Everyone
takes them in this order:

    schema   shared by all; of who makes another one, for whom all others are over
    head     shared by all who read a snapshot
    scope    of a run while it is stored; shared by single requests that wait for that
    storing  shared by all who are storing much; of who must be alone
    ledger   of who changes something quickly, and of who gives a commit its place

Only who puts tables in the place of others asks for the head last, for a moment: a snapshot that is older than what is in them
must not find them. Rows are locked by those who have the ledger's lock, and by who stores a run: rows of its scope, and images,
which everybody stores in one order.
"""

from collections.abc import Collection
from hashlib import blake2b

from domain.store.cursor import Cursor
from domain.store.database import STALLED_SECONDS
from domain.values import Scope

_BEGIN_ANY = "BEGIN ISOLATION LEVEL READ COMMITTED"
_SCHEMA = "LOCK TABLE schema_version IN ACCESS SHARE MODE"
_BEGIN = f"{_BEGIN_ANY}; {_SCHEMA}"
# LOCK TABLE comes before the snapshot: who has waited there sees the ledger as it is after that.
BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE schema_version, head IN ACCESS SHARE MODE"
_WHOLE_SCHEMA = (
    "DO $$ BEGIN IF to_regclass('schema_version') IS NOT NULL THEN"
    " LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE; END IF; END $$"
)


class Locks:
    """Of the ledger in one schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._ledger = self._key("ledger")
        self.take_ledger = f"SELECT pg_advisory_xact_lock({self._ledger})"
        # By then nobody else can record anything: it is as late as it gets.
        self._then = f"{self.take_ledger}; SELECT clock_timestamp() AS since"
        self.begin_writing = f"{_BEGIN}; {self._then}"
        self.begin_alone = f"{_BEGIN}; SELECT pg_advisory_xact_lock({self._key('storing')}); {self._then}"
        # Whoever is at the shell sees whether it stands still: to think for a while must not end it, as it ends who holds the
        # ledger's lock. The first lock is for where there is no schema yet.
        thinks = "SET LOCAL idle_in_transaction_session_timeout TO 0"
        remaking = f"SELECT pg_advisory_xact_lock({self._key('remaking')})"
        self.begin_remaking = f"{_BEGIN_ANY}; {thinks}; {remaking}; {_WHOLE_SCHEMA}"

    def begin_writing_after(self, scope: Scope) -> str:
        return f"{_BEGIN}; SELECT pg_advisory_xact_lock_shared({self._of(scope)}); {self._then}"

    def begin_storing(self, scope: Scope | None) -> str:
        if scope is None:
            return _BEGIN
        storing = f"SELECT pg_advisory_xact_lock_shared({self._key('storing')})"
        return f"{_BEGIN}; SELECT pg_advisory_xact_lock({self._of(scope)}); {storing}"

    def busy(self, tx: Cursor, scopes: Collection[Scope]) -> set[Scope]:
        """Those in which somebody is storing much. In the others, nobody will until the end of the transaction."""
        by_key = {self._of(scope): scope for scope in scopes}
        rows = tx.execute(
            "SELECT key FROM unnest(?::bigint[]) AS key WHERE NOT pg_try_advisory_xact_lock_shared(key)", ([*by_key],)
        )
        return {by_key[row["key"]] for row in rows}

    def terminate_scope_writer(self, tx: Cursor, scope: Scope) -> int:
        """Ends who holds a scope's lock for storing."""
        return _end(tx, "l.mode = 'ExclusiveLock'", self._of(scope))

    def terminate_stalled_writers(self, tx: Cursor) -> int:
        """Ends who holds the ledger's lock and lets PostgreSQL wait."""
        stalled = f"a.wait_event = 'ClientRead' AND a.state_change < clock_timestamp() - interval '{STALLED_SECONDS}s'"
        return _end(tx, stalled, self._ledger)

    def _of(self, scope: Scope) -> int:
        return self._key("scope", *scope)

    def _key(self, *names: str) -> int:
        digest = blake2b("\0".join(("offer-ledger", self._schema, *names)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, signed=True)


def _end(tx: Cursor, which: str, key: int) -> int:
    """Connections are ended by whoever is the same role."""
    # A key of 64 bits is shown in two halves.
    rows = tx.execute(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = a.datid"
        f" AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {which}"
        " AND (l.classid::bigint << 32) | l.objid::bigint = ?",
        (key,),
    ).fetchall()
    return len(rows)
