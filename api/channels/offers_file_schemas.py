"""The reply to an offers file."""

from api.runs.schemas import RunItem, RunReply


class OffersFileReply(RunReply):
    """The run of the file, with the outcome of each record, and of each active offer that is not in the file."""

    records: list[RunItem]
