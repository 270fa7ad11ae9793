"""What can an operator set? By environment, prefix OFFER_LEDGER_; nothing is obligatory."""

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.store.database import (
    DEFAULT_CONNECTIONS,
    DEFAULT_SCHEMA,
    FEWEST_CONNECTIONS,
    POSTGRES_PREFIXES,
    SQLITE_PREFIX,
    DatabaseLocation,
)

REDIS_URL = re.compile(r"(rediss?://[^/?#]+(/\d*)?|unix://[^/?#]*/[^?#]+)(\?[^#]*)?")


def _database_url(url: str) -> str:
    if url.startswith(POSTGRES_PREFIXES):
        return _postgres_url(url)
    if url.removeprefix(SQLITE_PREFIX) in {url, "", ":memory:"}:
        raise PydanticCustomError("database_url", "must be sqlite:///PATH, a file, or postgresql://…, as libpq has it")
    return url


def _postgres_url(url: str) -> str:
    try:
        from psycopg import ProgrammingError, conninfo  # noqa: PLC0415 - an extra, for those who set this
    except ImportError:
        message = "needs the Python package psycopg, which is not installed (the extra offer-ledger[postgres])"
        raise PydanticCustomError("postgres_missing", message) from None
    if os.environ.get("POSTGRES_ENABLE_DB_FUNCTIONS", "").lower() in {"1", "t", "true", "y", "yes", "on"}:
        # It takes no lock for the order of events, so a follower may skip some for ever.
        raise PydanticCustomError("function_mode", "is not served with POSTGRES_ENABLE_DB_FUNCTIONS set")
    try:
        conninfo.conninfo_to_dict(url)
    except ProgrammingError:
        raise PydanticCustomError("database_url", "has a part that libpq can't use") from None
    return url


def _replica_url(url: str, info: ValidationInfo) -> str:
    # One that can't be used itself has been told.
    if not str(info.data.get("database_url", url)).startswith(POSTGRES_PREFIXES):
        raise PydanticCustomError("replica_url", "needs a ledger on PostgreSQL: SQLite has no standby")
    if not url.startswith(POSTGRES_PREFIXES):
        raise PydanticCustomError("replica_url", "must be postgresql://…, as libpq has it")
    return _postgres_url(url)


def _database_schema(name: str) -> str:
    if name.startswith("pg_") or name == "information_schema":
        raise PydanticCustomError("database_schema", "must not be one of PostgreSQL's own")
    return name


def _redis_url(url: str) -> str:
    if not REDIS_URL.fullmatch(url):
        raise PydanticCustomError("redis_url", "must be redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH")
    try:
        import redis  # noqa: PLC0415 - an extra, for those who set this
    except ImportError:
        message = "needs the Python package redis, which is not installed (the extra offer-ledger[redis])"
        raise PydanticCustomError("redis_missing", message) from None
    try:
        # It only connects when it is asked something.
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise PydanticCustomError("redis_url", "has a part that the redis client can't use") from None
    return url


class Settings(BaseSettings):
    """Read when it is made; raises pydantic's ValidationError for a value that can't be used."""

    model_config = SettingsConfigDict(env_prefix="OFFER_LEDGER_")

    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        default="sqlite:///offer-ledger.db",
        # It may hold a password.
        repr=False,
        description="Where the ledger lies: sqlite:///relative/path.db, sqlite:////absolute/path.db or postgresql://…",
    )
    replica_url: Annotated[str, AfterValidator(_replica_url)] | None = Field(
        default=None,
        # It may hold a password.
        repr=False,
        description="A hot standby of its PostgreSQL, for reads that say what they have seen: postgresql://…",
    )
    database_schema: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$"), AfterValidator(_database_schema)] = (
        Field(default=DEFAULT_SCHEMA, description="The schema of a ledger in PostgreSQL: several may share a database")
    )
    database_connections: int = Field(
        default=DEFAULT_CONNECTIONS,
        ge=FEWEST_CONNECTIONS,
        description="How many connections to PostgreSQL a process has at most, and each helper; as many to its standby",
    )
    redis_url: Annotated[str, AfterValidator(_redis_url)] | None = Field(
        default=None,
        # It may hold a password.
        repr=False,
        description="The Redis that counts requests: redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH",
    )
    pseudonym_key: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="What the names are made from under which partners see customers; without one, the ledger keeps its own",
    )
    max_body_bytes: int = Field(
        default=256 * 1024 * 1024, ge=1, description="The largest body of a batch or an offers file"
    )
    max_items: int = Field(default=200_000, ge=1, description="The most offers in one of them")
    max_offer_bytes: int = Field(default=16 * 1024 * 1024, ge=1, description="The largest body of a single offer")
    max_image_bytes: int = Field(default=3 * 1024 * 1024, ge=1, description="The largest inline image, as it is sent")
    wait_seconds: float = Field(default=30, ge=0, le=3600, description="How long a reply waits for its run at most")
    lease_seconds: float = Field(
        default=10, ge=0.5, le=3600, description="After how long a run whose owner is not heard of is taken over"
    )

    @property
    def database_location(self) -> DatabaseLocation:
        return DatabaseLocation(self.database_url, self.database_schema, self.database_connections)

    @property
    def database(self) -> Path:
        """The file of a ledger that is not shared."""
        return Path(self.database_url.removeprefix(SQLITE_PREFIX))

    @property
    def is_shared(self) -> bool:
        """Whether several processes may serve the same ledger."""
        return self.database_url.startswith(POSTGRES_PREFIXES)
