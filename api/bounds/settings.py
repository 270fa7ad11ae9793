"""The settings of the bounds on one caller. Each bound is a setting, and each error says which bound it was."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "OFFER_LEDGER_"


class BoundSettings(BaseSettings):
    """The bounds; `Settings` adds the other settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    max_body_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1,
        description="The largest body of a batch or an offers file, in bytes, after decompression",
    )
    max_items: int = Field(default=200_000, ge=1, description="The most offers in a batch or an offers file")
    max_offer_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1, description="The largest body of a single offer, in bytes"
    )
    max_image_bytes: int = Field(
        default=3 * 1024 * 1024, ge=1, description="The largest inline image, in bytes, as sent"
    )


def setting_variable(field: str) -> str:
    """Returns the environment variable of a setting, such as `OFFER_LEDGER_MAX_ITEMS`. Errors name bounds by it."""
    return f"{PREFIX}{field.upper()}"
