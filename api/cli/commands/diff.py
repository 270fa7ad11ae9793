"""offer-ledger diff"""

from typing import Annotated, Any

import typer

from api.cli.option_types import STATE, AsJson, PageCursor, RowLimit, parse_state
from api.cli.registry import example
from projections.audit.change_kind import ChangeKind

_Earlier = Annotated[
    Any,
    typer.Option("--from", parser=parse_state, metavar=STATE, help="Earlier state: a recorded time or a position."),
]
_Later = Annotated[
    Any,
    typer.Option(
        "--to", parser=parse_state, metavar=STATE, help="Later state: a recorded time or a position. Default: now."
    ),
]


@example("offer-ledger diff --from 2026-11-30 --to now --partner tidepool")
def diff_command(
    earlier: _Earlier,
    later: _Later = None,
    partner: Annotated[str | None, typer.Option(help="Offers of this partner. Default: all partners.")] = None,
    kind: Annotated[ChangeKind | None, typer.Option(help="Only offers with this kind of change. Default: all.")] = None,
    limit: RowLimit = 100,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare two states and list the offers that differ.

    Each row has the changed fields, and the actors or the causes of the changes. An offer that was changed and
    changed back is not listed."""
    from api.cli.actions.reading import diff

    diff.print_diff(earlier, later, partner, kind, limit, cursor, as_json=as_json)
