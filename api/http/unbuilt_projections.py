"""Which projections have no table yet, and how does an operator build them?"""

from collections.abc import Iterable

from domain.ledgers.ledger import StorageError
from projections.projector import PROJECTIONS


def unbuilt_projection_in(error: StorageError) -> str | None:
    """The projection whose table the storage has missed."""
    table = getattr(error, "table", None)
    return next((projection.name for projection in PROJECTIONS if projection.name == table), None)


def rebuild_command_line(names: Iterable[str]) -> str:
    """What builds them, beside a server that knows them."""
    return " ".join(["offer-ledger projections rebuild", *(f"--only {name}" for name in names)])
