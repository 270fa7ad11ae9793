"""The reply to an offers file."""

from api.runs.schemas import RunItem, RunReply


class OffersFileReply(RunReply):
    """The run of the file, and what became of each of its records, and of active offers that none of them names."""

    records: list[RunItem]
