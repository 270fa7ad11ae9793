"""What can an operator set? By environment, prefix OFFER_LEDGER_; nothing is obligatory."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

SQLITE_PREFIX = "sqlite:///"


class Settings(BaseSettings):
    """Read when it is made; raises pydantic's ValidationError for a value that can't be used."""

    model_config = SettingsConfigDict(env_prefix="OFFER_LEDGER_")

    database_url: str = Field(
        default="sqlite:///offer-ledger.db",
        description="Where the ledger lies: sqlite:///relative/path.db or sqlite:////absolute/path.db",
        pattern=r"^sqlite:///.+$",
    )
    max_body_bytes: int = Field(default=256 * 1024 * 1024, ge=1, description="The largest body of a batch")
    max_items: int = Field(default=200_000, ge=1, description="The most offers in one batch")

    @property
    def database(self) -> Path:
        return Path(self.database_url.removeprefix(SQLITE_PREFIX))
