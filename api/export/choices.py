"""The datasets and formats of exports."""

from enum import StrEnum


class Dataset(StrEnum):
    """The rows of an export."""

    EVENTS = "events"
    INVENTORY = "inventory"
    WINDOWS = "windows"


class Format(StrEnum):
    """The format of an exported file."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
