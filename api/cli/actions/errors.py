"""Turns every expected error into a sentence and an exit code."""

from pydantic import ValidationError

from api.access.console_key import UnusableKey
from api.cli.messages import exit_with_error
from api.http import unbuilt_projections
from api.http.problems import Problem
from api.validation.field_errors import field_errors
from domain.ledgers.ledger import StorageError
from domain.refusals import Refused
from domain.store.errors import DamagedStorage
from domain.store.mapper import UnreadableEvent
from domain.store.schema import NoLedger, OlderLedger, SchemaMismatch
from projections.maintenance.rebuild import RebuildFailed


def exit_if_expected(error: Exception) -> None:
    """Ends the command with a sentence. Returns if the error is a fault of the program."""
    match error:
        case Problem():
            exit_with_error(*(map(str, error.errors) if error.errors else [error.detail]))
        case OlderLedger():
            exit_with_error(f"{error}. To migrate it, run: offer-ledger migrate")
        case NoLedger():
            exit_with_error(
                f"{error}. To create one there, run: offer-ledger init. For another place, add --database URL."
            )
        case Refused() | SchemaMismatch() | RebuildFailed() | UnusableKey():
            exit_with_error(f"{error}.")
        case UnreadableEvent():
            exit_with_error(f"The ledger contains an event that this program cannot read: {error}.")
        case DamagedStorage():
            exit_with_error(f"The database of the ledger is damaged: {error}. Restore a backup.")
        case StorageError():
            exit_with_error(f"Cannot use the database of the ledger: {error}.{_remedy(error)}")
        case ValidationError():
            sentences = (f"OFFER_LEDGER_{wrong.path.upper()}: {wrong.message}" for wrong in field_errors(error))
            exit_with_error(*sentences, exit_code=2)
        case _:
            pass


def _remedy(error: StorageError) -> str:
    missing = unbuilt_projections.unbuilt_projection_in(error)
    if not missing:
        return ""
    return f" To build the missing projection, run: {unbuilt_projections.rebuild_command_line([missing])}"
