"""Which commands are there, and how does each of them end?

Exit codes: 0 done, 1 refused or failed, 2 usage.
"""

import sys

import typer
from pydantic import ValidationError

from api.cli import imports, offers, partners, projections, serve, tokens
from api.cli.output import fail
from api.problems import Problem
from api.schemas.messages import complaints
from domain.ledger import StorageError
from domain.refusals import Refused
from domain.store.mapper import UnreadableEvent
from domain.store.sqlite import SchemaMismatch

app = typer.Typer(
    name="offer-ledger",
    help="The system of record for partner offers: what was live, when, who changed it and why.",
    epilog="Where the ledger lies: OFFER_LEDGER_DATABASE_URL (sqlite:///offer-ledger.db unless set).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("import")(imports.import_file)
app.command("inventory")(offers.inventory)
app.command("history")(offers.history)
app.add_typer(partners.app)
app.add_typer(tokens.app)
app.add_typer(projections.app)


def main() -> None:
    """Every refusal is a sentence on standard error, never a traceback."""
    try:
        app()
    except Problem as problem:
        fail(problem.detail, *map(str, problem.errors))
    except (Refused, SchemaMismatch) as refusal:
        fail(f"{refusal}.")
    except UnreadableEvent as error:
        fail(f"The ledger holds what this program can't read: {error}.")
    except StorageError as error:
        fail(f"The ledger's storage can't be used: {error}.")
    except ValidationError as error:
        for complaint in complaints(error):
            fail(f"OFFER_LEDGER_{complaint.path.upper()}: {complaint.message}", exit_code=2)
    except KeyboardInterrupt:
        sys.exit(130)
