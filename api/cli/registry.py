"""Registers commands with what all of them have: the option `--database`, and examples in the help."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

DATABASE_URL = "OFFER_LEDGER_DATABASE_URL"
DATABASE_OPTION = "--database"

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., object])


def example(*lines: str) -> Callable[[CommandFunction], CommandFunction]:
    """Adds command lines to the help of a command. Tests execute them."""

    def add(function: CommandFunction) -> CommandFunction:
        vars(function)["examples"] = lines
        return function

    return add


def examples_of(command: TyperCommand) -> tuple[str, ...]:
    return _examples_of_function(command.callback)


def _examples_of_function(function: Callable[..., object] | None) -> tuple[str, ...]:
    return getattr(function, "examples", ())


def example_lines(lines: Sequence[str]) -> str:
    """Returns the last part of a help text."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    # \b keeps the lines of a paragraph as they are.
    return "\n".join(["\b", title, *(f"  {line}" for line in lines)])


def register(group: typer.Typer, name: str, function: Callable[..., object]) -> None:
    """Registers a command that works on the ledger of the settings or of `--database`."""
    group.command(name, cls=_LedgerCommand)(function)


def group_of(name: str, summary: str, **commands: Callable[..., object]) -> typer.Typer:
    """Returns a group of commands, such as `tokens`. Its help has the examples of its commands."""
    lines = [line for function in commands.values() for line in _examples_of_function(function)]
    group = typer.Typer(
        name=name, help=summary, epilog=example_lines(lines), no_args_is_help=True, rich_markup_mode=None
    )
    for command, function in commands.items():
        register(group, command, function)
    return group


class _LedgerCommand(TyperCommand):
    """A command with the common option, and with its examples after its options."""

    def __init__(self, name: str | None, **attributes: Any) -> None:
        attributes["params"] = [*attributes["params"], *_common_options()]
        super().__init__(name, **attributes)
        if lines := examples_of(self):
            self.epilog = example_lines(lines)


def _common_options() -> list[Any]:
    """Returns the common options in the form that typer makes of a function's parameters."""

    def common(
        database: str | None = typer.Option(
            None,
            DATABASE_OPTION,
            metavar="URL",
            help=f"Database of the ledger. It overrides {DATABASE_URL}.",
            callback=_use_database,
            expose_value=False,
            is_eager=True,
        ),
    ) -> None:
        """Has only the options."""

    app = typer.Typer(add_completion=False)
    app.command()(common)
    return [param for param in typer.main.get_command(app).params if param.name == "database"]


def _use_database(url: str | None) -> None:
    """Sets the database for this process and for the processes that it starts. Raises typer.BadParameter."""
    if url is not None:
        from api.cli.actions import option_values

        os.environ[DATABASE_URL] = url
        option_values.require_valid_database()
