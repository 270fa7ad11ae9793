"""The settings of a process. They come from environment variables with the prefix OFFER_LEDGER_; none is required."""

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from api.bounds.settings import PREFIX, BoundSettings
from domain.store.database import (
    DEFAULT_CONNECTIONS,
    DEFAULT_SCHEMA,
    MIN_CONNECTIONS,
    POSTGRES_PREFIXES,
    SQLITE_PREFIX,
    DatabaseLocation,
)

TEST_PREFIX = f"{PREFIX}TEST_"
"""Variables with this prefix control the tests."""
REDIS_URL = re.compile(r"(rediss?://[^/?#]+(/\d*)?|unix://[^/?#]*/[^?#]+)(\?[^#]*)?")


def _database_url(url: str) -> str:
    if url.startswith(POSTGRES_PREFIXES):
        return _postgres_url(url)
    if url.removeprefix(SQLITE_PREFIX) in {url, "", ":memory:"}:
        raise PydanticCustomError(
            "database_url", "must be sqlite:///PATH (a file) or postgresql://… (a libpq connection string)"
        )
    return url


def _postgres_url(url: str) -> str:
    try:
        from psycopg import ProgrammingError, conninfo
    except ImportError:
        message = "needs the Python package psycopg, which is not installed (the extra offer-ledger[postgres])"
        raise PydanticCustomError("postgres_missing", message) from None
    if os.environ.get("POSTGRES_ENABLE_DB_FUNCTIONS", "").lower() in {"1", "t", "true", "y", "yes", "on"}:
        # That mode takes no lock that orders events, so a follower may skip events for ever.
        raise PydanticCustomError(
            "function_mode",
            "cannot be used while POSTGRES_ENABLE_DB_FUNCTIONS is set: followers could miss events. Unset it",
        )
    try:
        conninfo.conninfo_to_dict(url)
    except ProgrammingError:
        raise PydanticCustomError("database_url", "is not a valid libpq connection string") from None
    return url


def _replica_url(url: str, info: ValidationInfo) -> str:
    # An invalid database_url has been reported already.
    if not str(info.data.get("database_url", url)).startswith(POSTGRES_PREFIXES):
        raise PydanticCustomError("replica_url", "needs a ledger on PostgreSQL: SQLite has no replica")
    if not url.startswith(POSTGRES_PREFIXES):
        raise PydanticCustomError("replica_url", "must be postgresql://… (a libpq connection string)")
    return _postgres_url(url)


def _database_schema(name: str) -> str:
    if name.startswith("pg_") or name == "information_schema":
        raise PydanticCustomError("database_schema", "must not be a system schema of PostgreSQL")
    return name


def _redis_url(url: str) -> str:
    if not REDIS_URL.fullmatch(url):
        raise PydanticCustomError("redis_url", "must be redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH")
    try:
        import redis
    except ImportError:
        message = "needs the Python package redis, which is not installed (the extra offer-ledger[redis])"
        raise PydanticCustomError("redis_missing", message) from None
    try:
        # This does not connect: the client connects at the first command.
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise PydanticCustomError("redis_url", "is not a valid Redis URL") from None
    return url


def require_known_variables() -> None:
    """Raises pydantic's ValidationError for each variable with the prefix that is no setting: it is probably misspelt."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    unknown = [name for name in map(str.upper, os.environ) if name.startswith(PREFIX) and name not in known]
    errors = [
        InitErrorDetails(
            type=PydanticCustomError(
                "unknown_setting",
                "unknown setting; the nearest one is {nearest}",
                # Unlike a hint about a member of an offer, this names the nearest one however unlike it is.
                {"nearest": get_close_matches(name, known, n=1, cutoff=0)[0]},
            ),
            loc=(name.removeprefix(PREFIX),),
            input=None,
        )
        for name in sorted(unknown)
        if not name.startswith(TEST_PREFIX)
    ]
    if errors:
        raise ValidationError.from_exception_data(Settings.__name__, errors)


class Settings(BoundSettings):
    """All settings, read from the environment at construction. Raises pydantic's ValidationError for an invalid value, and for
    an unknown variable."""

    def __init__(self, **values: Any) -> None:
        require_known_variables()
        super().__init__(**values)

    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        default="sqlite:///offer-ledger.db",
        # The URL may hold a password.
        repr=False,
        description="The database of the ledger: sqlite:///relative/path.db, sqlite:////absolute/path.db or postgresql://…",
    )
    replica_url: Annotated[str, AfterValidator(_replica_url)] | None = Field(
        default=None,
        # The URL may hold a password.
        repr=False,
        description="A hot standby of that PostgreSQL. It answers reads that send `Ledger-Position`: postgresql://…",
    )
    database_schema: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$"), AfterValidator(_database_schema)] = (
        Field(
            default=DEFAULT_SCHEMA,
            description="The PostgreSQL schema of the ledger. Several ledgers may share a database",
        )
    )
    database_connections: int = Field(
        default=DEFAULT_CONNECTIONS,
        ge=MIN_CONNECTIONS,
        description="The most connections that a process opens to PostgreSQL. This holds for each server process and each worker process. A server process opens as many again to the replica",
    )
    redis_url: Annotated[str, AfterValidator(_redis_url)] | None = Field(
        default=None,
        # The URL may hold a password.
        repr=False,
        description="The Redis that counts requests for all processes: redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH",
    )
    pseudonym_key: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="The key of the pseudonyms that partners see instead of customer ids. Without it, the ledger uses a key that it stores itself",
    )
    console_key: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="The key that signs console sessions; all servers of a ledger need the same one. Without it, a ledger on SQLite has a key file beside it, and on PostgreSQL each `serve` makes a key of its own",
    )
    wait_seconds: float = Field(
        default=30,
        ge=0,
        le=3600,
        description="The most seconds that a reply waits for its run. After that the reply is 202",
    )
    lease_seconds: float = Field(
        default=10,
        ge=0.5,
        le=3600,
        description="The seconds after which another process takes over a run whose owner has stopped renewing its lease. All processes of a ledger need the same value",
    )

    @property
    def database_location(self) -> DatabaseLocation:
        return DatabaseLocation(self.database_url, self.database_schema, self.database_connections)

    @property
    def database(self) -> Path:
        """The file of a ledger on SQLite."""
        return Path(self.database_url.removeprefix(SQLITE_PREFIX))

    @property
    def waiting_folder(self) -> Path | None:
        """The folder of data that waits on disk: that of a ledger on SQLite, or None for the system's temporary files."""
        return None if self.is_shared else self.database.absolute().parent

    @property
    def is_shared(self) -> bool:
        """True if several processes may serve the same ledger: it is on PostgreSQL."""
        return self.database_url.startswith(POSTGRES_PREFIXES)
