"""offer-ledger init, offer-ledger settings, offer-ledger migrate, offer-ledger backup, offer-ledger restore"""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.option_types import AsJson
from api.cli.registry import example


@example("offer-ledger init --database sqlite:///offer-ledger.db")
def init_command(*, as_json: AsJson = False) -> None:
    """Create a ledger in an empty database.

    The command prints where. If there is a ledger already, it changes nothing and exits with 0."""
    from api.cli.actions.upkeep import setup

    setup.initialize(as_json=as_json)


@example("offer-ledger settings")
def settings_command(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Show each setting with its value and its source.

    Passwords and keys are hidden. The command does not open the ledger."""
    from api.cli.actions.upkeep import setup

    source = ctx.get_parameter_source("database")
    is_database_given = source is not None and source.name == "COMMANDLINE"
    setup.print_settings(is_database_given=is_database_given, as_json=as_json)


@example("offer-ledger migrate --dry-run")
def migrate_command(
    backup: Annotated[
        Path | None,
        typer.Option(
            help="SQLite only: copy the ledger to this file before the first step. The file must not exist."
            " Default: no copy."
        ),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the steps and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Migrate a ledger to the schema of this program.

    Stop all servers and make a backup first."""
    from api.cli.actions.upkeep import maintenance

    maintenance.migrate_ledger(backup, dry_run=dry_run, as_json=as_json)


@example("offer-ledger backup --out before.db")
def backup_command(
    out: Annotated[Path, typer.Option(help="File to write. It must not exist.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy a ledger on SQLite to a file while it is in use.

    For PostgreSQL, use pg_dump."""
    from api.cli.actions.upkeep import maintenance

    maintenance.back_up(out, as_json=as_json)


@example("offer-ledger restore before.db")
def restore_command(
    file: Annotated[Path, typer.Argument(help="Backup of a ledger on SQLite. It stays as it is.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Replace the ledger on SQLite by a backup.

    Stop all servers, watchers and imports first. The command verifies the backup before it replaces the ledger.
    For PostgreSQL, use pg_restore."""
    from api.cli.actions.upkeep import restore

    restore.restore_ledger(file, as_json=as_json)
