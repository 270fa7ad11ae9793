"""Options that several commands have, and parsers of option values.

Values are parsed only when a command runs: see `api/cli/actions/option_values.py`."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from domain.values import MAX_REASON_LENGTH

TIME, STATE = "TIME", "TIME|POSITION"


def parse_time(text: str) -> Any:
    """Parses a time. Returns a datetime. Raises typer.BadParameter."""
    from api.cli.actions import option_values

    return option_values.time_of(text)


def parse_time_or_now(text: str) -> Any:
    """Parses a time. Returns a datetime, or None for `now`, as without the option. Raises typer.BadParameter."""
    from api.cli.actions import option_values

    return None if option_values.is_now(text) else option_values.time_of(text)


def parse_state(text: str) -> Any:
    """Parses a recorded time or a position. Returns an AsOf. Raises typer.BadParameter."""
    from api.cli.actions import option_values

    return option_values.state_of(text)


def parse_uid(text: str) -> UUID:
    """Parses a UUID. Raises typer.BadParameter."""
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("must be a UUID") from None


def parse_reason(text: str) -> str:
    """Returns the reason of an operator action. Raises typer.BadParameter."""
    if not text.strip() or len(text) > MAX_REASON_LENGTH:
        raise typer.BadParameter(f"must have 1 to {MAX_REASON_LENGTH} characters")
    return text


def parse_directory(text: str) -> Path:
    """Parses an existing directory. An empty text is refused: Path would read it as the current directory."""
    if not text or not Path(text).is_dir():
        raise typer.BadParameter(f"Directory {text!r} does not exist.")
    return Path(text)


RequiredReason = Annotated[
    str, typer.Option(parser=parse_reason, metavar="TEXT", help="Why. The ledger keeps it for ever: no personal data.")
]
OptionalReason = Annotated[
    str | None,
    typer.Option(
        "--reason", parser=parse_reason, metavar="TEXT", help="Why. The ledger keeps it for ever: no personal data."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AsOfState = Annotated[
    Any,
    typer.Option(
        "--as-of",
        parser=parse_state,
        metavar=STATE,
        help="State to read: a recorded time or a position. Default: now.",
    ),
]
RowLimit = Annotated[int, typer.Option(help="Maximum number of rows.", min=1, max=1000)]
PageCursor = Annotated[str | None, typer.Option(help="nextCursor of the previous page. Default: the first page.")]
