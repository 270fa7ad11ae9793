"""The kinds of net changes between two states."""

from enum import StrEnum


class ChangeKind(StrEnum):
    """A kind of net change; an offer can have several.

    An offer that is paused now and was absent or deleted before is both created or restored, and paused."""

    CREATED = "created"
    UPDATED = "updated"
    PAUSED = "paused"
    RESUMED = "resumed"
    DELETED = "deleted"
    RESTORED = "restored"
