"""The projection `tokens`: API tokens with the digests of their secrets. Authentication looks up callers in it."""

from collections.abc import Sequence
from typing import Any, get_args

from msgspec import Struct
from msgspec.structs import replace

from domain.events import TokenCreated, TokenEvent, TokenRevoked
from domain.ledgers.ledger import Entry
from domain.store.cursor import Condition, Cursor, Lookup
from domain.store.mapper import decode_event
from domain.values import Role, recorded_text
from projections.projection import Projection

TABLE = """
    CREATE TABLE tokens (
        token_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        partner TEXT,
        secret_sha256 TEXT NOT NULL UNIQUE,
        requests_per_minute INTEGER NOT NULL,
        expires_at INTEGER,
        created_commit INTEGER NOT NULL,
        revoked_commit INTEGER
    )"""


# Updates


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    for entry in entries:
        match entry.event:
            case TokenCreated() as event:
                tx.execute(
                    "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)"
                    " ON CONFLICT (token_id) DO UPDATE SET"
                    " name = excluded.name, role = excluded.role, partner = excluded.partner,"
                    " secret_sha256 = excluded.secret_sha256,"
                    " requests_per_minute = excluded.requests_per_minute,"
                    " expires_at = excluded.expires_at, created_commit = excluded.created_commit,"
                    " revoked_commit = excluded.revoked_commit",
                    (
                        entry.stream_id,
                        event.name,
                        event.role,
                        event.partner,
                        event.secret_sha256,
                        event.requests_per_minute,
                        event.expires_at,
                        entry.commit_id,
                    ),
                )
            case TokenRevoked():
                tx.execute(
                    "UPDATE tokens SET revoked_commit = ? WHERE token_id = ?", (entry.commit_id, entry.stream_id)
                )
            case _:
                pass


PROJECTION = Projection(
    name="tokens", key=("token_id",), table=TABLE, apply=apply, events=frozenset(get_args(TokenEvent)), names=("name",)
)


# Queries


class Caller(Struct, frozen=True):
    """The holder of a token, as authentication identifies it."""

    name: str
    role: Role
    partner: str | None
    requests_per_minute: int

    def sees(self, partner: str | None) -> bool:
        """Returns whether the caller may read a partner's data; None stands for the data of all partners."""
        return self.partner in {None, partner}


class TokenView(Struct, frozen=True, rename="camel"):
    """A token as the API returns it, without its secret."""

    name: str
    role: str
    partner: str | None
    requests_per_minute: int
    created_at: str
    expires_at: str | None
    revoked_at: str | None


def callers_lookup(secrets_sha256: Condition, now_microseconds: int) -> Lookup[dict[str, Caller]]:
    """Returns the lookup of callers by the digest of their secret. Unknown, revoked and expired tokens are left out."""
    condition, values = secrets_sha256
    return Lookup(
        "SELECT secret_sha256, name, role, partner, requests_per_minute FROM tokens WHERE revoked_commit IS NULL"
        f" AND (expires_at IS NULL OR expires_at > ?) AND secret_sha256 {condition}",
        (now_microseconds, *values),
        lambda rows: {secret: Caller(name, Role(role), *others) for secret, name, role, *others in rows},
    )


def partners_of_tokens(secrets_sha256: Condition) -> Condition:
    """Returns the condition that a partner is that of one of these tokens."""
    condition, values = secrets_sha256
    return f"IN (SELECT partner FROM tokens WHERE secret_sha256 {condition})", values


def list_tokens(tx: Cursor) -> list[TokenView]:
    rows = tx.execute(
        "SELECT t.*, created.recorded_at AS created_at, revoked.recorded_at AS revoked_at FROM tokens t"
        " JOIN commits created ON created.commit_id = t.created_commit"
        " LEFT JOIN commits revoked ON revoked.commit_id = t.revoked_commit ORDER BY t.name"
    )
    return [_view(row) for row in rows]


def tokens_as_of(tx: Cursor, position: int) -> list[TokenView]:
    """Returns the tokens as of a position, from their events."""
    rows = tx.execute(
        "SELECT e.stream_id, e.topic, CAST(e.state AS BLOB) AS state, c.recorded_at"
        " FROM tokens t JOIN events e ON e.stream_id = t.token_id JOIN commits c ON c.commit_id = e.commit_id"
        " WHERE c.first_position + e.ordinal <= ? ORDER BY t.name, e.version",
        (position,),
    )
    views: dict[int, TokenView] = {}
    for row in rows:
        recorded_at = recorded_text(row["recorded_at"])
        match decode_event(row["topic"], row["state"]):
            case TokenCreated() as event:
                views[row["stream_id"]] = TokenView(
                    event.name,
                    event.role,
                    event.partner,
                    event.requests_per_minute,
                    created_at=recorded_at,
                    expires_at=None if event.expires_at is None else recorded_text(event.expires_at),
                    revoked_at=None,
                )
            case TokenRevoked():
                views[row["stream_id"]] = replace(views[row["stream_id"]], revoked_at=recorded_at)
            case _:
                pass
    return list(views.values())


def _view(row: Any) -> TokenView:
    return TokenView(
        name=row["name"],
        role=row["role"],
        partner=row["partner"],
        requests_per_minute=row["requests_per_minute"],
        created_at=recorded_text(row["created_at"]),
        expires_at=None if row["expires_at"] is None else recorded_text(row["expires_at"]),
        revoked_at=None if row["revoked_at"] is None else recorded_text(row["revoked_at"]),
    )
