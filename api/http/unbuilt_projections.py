"""Projections without a table, and the command that builds them."""

from collections.abc import Iterable

from domain.ledgers.ledger import StorageError
from projections.projector import PROJECTIONS


def unbuilt_projection_in(error: StorageError) -> str | None:
    """Returns the name of the projection whose table does not exist, if that caused the error."""
    table = getattr(error, "table", None)
    return next((projection.name for projection in PROJECTIONS if projection.name == table), None)


def rebuild_command_line(names: Iterable[str]) -> str:
    """Returns the command that builds projections. It may run beside a server of the same version."""
    return " ".join(["offer-ledger projections rebuild", *(f"--only {name}" for name in names)])
