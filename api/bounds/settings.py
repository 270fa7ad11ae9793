"""The settings of the bounds on one caller. Each bound is a setting, and each error says which bound it was."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.bounds.body import MAX_ENVELOPE_MEMBERS, MAX_IMAGE_BYTES, MAX_ITEMS, BodyBounds
from domain.offers.value_count import MAX_VALUES

PREFIX = "OFFER_LEDGER_"


class BoundSettings(BaseSettings):
    """The bounds; `Settings` adds the other settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    max_body_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1,
        description="The largest body of a batch or an offers file, in bytes, after decompression",
    )
    max_items: int = Field(default=MAX_ITEMS, ge=1, description="The most offers in a batch or an offers file")
    max_offer_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1, description="The largest body of a single offer, in bytes"
    )
    max_image_bytes: int = Field(
        default=MAX_IMAGE_BYTES, ge=1, description="The largest inline image, in bytes, as sent"
    )
    max_content_values: int = Field(default=MAX_VALUES, ge=1, description="The most values in the content of an offer")
    max_envelope_members: int = Field(
        default=MAX_ENVELOPE_MEMBERS, ge=3, description="The most members in the envelope of a batch or an offers file"
    )
    max_white_space_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="The most white space between two tokens of a body, in bytes"
    )
    max_head_bytes: int = Field(
        default=64 * 1024,
        ge=1024,
        description="The most bytes of a request's line and headers, its trailers and its chunk extensions together",
    )
    max_head_seconds: float = Field(
        default=20,
        ge=0.1,
        le=3600,
        description="The most seconds until a request's line and headers are complete",
    )
    max_bytes_ahead: int = Field(
        default=64 * 1024,
        ge=1024,
        description="The most bytes that a connection sends ahead of an unfinished reply. The server reads on after the reply",
    )
    reserved_descriptors: int = Field(
        default=256,
        ge=1,
        description="The file descriptors that a server process keeps for the database, files and listeners. All others are for connections",
    )
    max_body_pause_seconds: float = Field(
        default=30,
        ge=0.1,
        le=3600,
        description="The most seconds between two pieces of a body. Time in which the server does not read is not counted",
    )
    max_body_seconds: float = Field(
        default=60,
        ge=0.1,
        le=3600,
        description="The most seconds for a body that is kept in memory, plus one second for each 64 KiB that has arrived",
    )
    max_early_pause_seconds: float = Field(
        default=2,
        ge=0.01,
        le=3600,
        description="The most seconds that a worker process waits for the next 1 MiB of a batch that it validates while it arrives. The upload then continues without early validation",
    )
    max_unfinished_body_bytes_per_token: int = Field(
        default=64 * 1024 * 1024,
        ge=1,
        description="The most bytes of a token's unfinished bodies in memory. A body over 1 MiB waits on disk",
    )
    max_unfinished_body_bytes: int = Field(
        default=512 * 1024 * 1024, ge=1, description="The most bytes of all unfinished bodies in memory"
    )
    max_uploads_per_partner: int = Field(
        default=4,
        ge=1,
        description="The most batches and offers files over 1 MiB that a partner may send at the same time",
    )
    max_waiting_bytes_per_partner: int = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=1,
        description="The most bytes that unfinished bodies of a partner or publisher take on disk",
    )
    max_waiting_files_per_partner: int = Field(
        default=64,
        ge=1,
        description="The most unfinished bodies of a partner or publisher that wait on disk. Each takes a descriptor",
    )
    max_waiting_files: int = Field(
        default=192,
        ge=1,
        description="The most unfinished bodies that wait on disk. Their descriptors are among the reserved ones",
    )
    max_waiting_bytes: int = Field(
        default=8 * 1024 * 1024 * 1024, ge=1, description="The most bytes that all unfinished bodies take on disk"
    )
    max_long_replies_per_token: int = Field(
        default=4,
        ge=1,
        description="The most long replies of a token at the same time: event streams in a file format, feeds",
    )
    max_long_replies: int = Field(default=100, ge=1, description="The most long replies at the same time")
    max_large_replays_per_token: int = Field(
        default=2,
        ge=1,
        description="The most replays over 1 MiB of a token at the same time: replies to repeated batches and files",
    )
    max_large_replays: int = Field(default=50, ge=1, description="The most replays over 1 MiB at the same time")
    max_followers_per_token: int = Field(
        default=10, ge=1, description="The most followers of `audit/stream` with the same token"
    )
    max_followers: int = Field(default=200, ge=1, description="The most followers of `audit/stream`")
    max_waiting_reply_bytes_per_token: int = Field(
        default=64 * 1024 * 1024,
        ge=1,
        description="The most bytes of a token's large replies that wait until their clients read them. Large rows of streams may have as many again",
    )
    max_waiting_reply_bytes: int = Field(
        default=512 * 1024 * 1024,
        ge=1,
        description="The most bytes of all large replies that wait until their clients read them. Large rows of streams may have as many again",
    )
    max_reads_per_token: int = Field(
        default=4,
        ge=1,
        description="The most GET requests of a token that the server works on at the same time. Others wait for their turn",
    )
    min_reply_bytes: int = Field(
        default=64 * 1024,
        ge=1,
        description="The fewest bytes that a client must read within `OFFER_LEDGER_REPLY_PROGRESS_SECONDS` while more wait to be sent. Otherwise the reply is cut off",
    )
    reply_progress_seconds: float = Field(
        default=60,
        ge=0.1,
        le=3600,
        description="The seconds within which a client must read `OFFER_LEDGER_MIN_REPLY_BYTES`",
    )
    max_idle_process_bytes: int = Field(
        default=256 * 1024 * 1024,
        # A new process has less. With a lower bound, each new process would be replaced at once, without end.
        ge=128 * 1024 * 1024,
        description="The most memory that an idle worker process keeps, in bytes. With more, it is replaced",
    )

    @property
    def body_bounds(self) -> BodyBounds:
        return BodyBounds(self.max_items, self.max_envelope_members, self.max_content_values, self.max_image_bytes)


def setting_variable(field: str) -> str:
    """Returns the environment variable of a setting, such as `OFFER_LEDGER_MAX_ITEMS`. Errors name bounds by it."""
    return f"{PREFIX}{field.upper()}"
