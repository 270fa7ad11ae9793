"""Executes the guides in docs/http: each call runs against the service, and its reply must be the one that the page shows.

The rules of the pages are in `tests/support/shell_pages.py`. Each page starts on a new ledger, after the commands that
conventions.md shows under "Base URL and examples". There, they are executed. For the other pages, which use the same shell
variables, the ledger gets the same partners and tokens directly, which takes a tenth of the time.
"""

import re
from pathlib import Path

import pytest

from api.dependencies.authentication import digest_secret
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.values import Role
from tests.support.generated_pages import DOCS
from tests.support.harness import OPERATOR
from tests.support.shell_pages import HAS_PROGRAMS, Command, commands_of, page_folder, running

CONVENTIONS = "conventions"
GUIDES = [CONVENTIONS, "batch", "merchant", "offers-files", "redemption", "reading", "undo"]
TOKENS = {
    "TOKEN": ("try", Role.PARTNER, "tidepool"),
    "HARBOR": ("harbor-feed", Role.PARTNER, "harbor"),
    "PUBLISHER": ("wallet", Role.PUBLISHER, None),
    "AUDITOR": ("audit", Role.AUDITOR, None),
}
"""By shell variable: name, role and partner, in the order of conventions.md."""


def page_of(guide: str) -> Path:
    return DOCS / "http" / f"{guide}.md"


def commands_of_guide(guide: str) -> list[Command]:
    return commands_of(page_of(guide).read_text())


def first_commands() -> list[Command]:
    """The commands of conventions.md that assign the shell variables of all guides."""
    commands = commands_of_guide(CONVENTIONS)
    return commands[: next(number for number, command in enumerate(commands) if command.output is not None)]


def prepare_ledger(folder: Path) -> None:
    """Registers the partners and creates the tokens. The secret of a token is the name of its variable."""
    with open_service(Settings(database_url=f"sqlite:///{folder / 'offer-ledger.db'}")) as service:
        service.ledger.handle(SetPartner("tidepool", synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        for secret, (name, role, partner) in TOKENS.items():
            if partner == "harbor":
                service.ledger.handle(SetPartner(partner), OPERATOR)
            service.ledger.handle(CreateToken(name, role, partner, digest_secret(secret), 600, None), OPERATOR)
    (folder / "offer-ledger.token").write_text("TOKEN\n")  # `make run` uses it


def variables() -> list[str]:
    """The commands that assign the variables, without those that change the ledger."""
    assignments = [command.text for command in first_commands() if re.match(r"(SERVICE|PATH)=", command.text)]
    return [*assignments, *(f"{name}={name}" for name in TOKENS)]


@pytest.mark.skipif(not HAS_PROGRAMS, reason="the pages call make and curl")
@pytest.mark.parametrize("guide", GUIDES)
def test_guide_shows_what_the_service_replies(guide: str, tmp_path: Path) -> None:
    folder = page_folder(tmp_path)
    if guide != CONVENTIONS:
        prepare_ledger(folder)
    with running(folder) as shell:
        for command in variables() if guide != CONVENTIONS else []:
            shell.run(command)
        drifts = shell.drifts(page_of(guide), commands_of_guide(guide))
    if drifts:
        pytest.fail("\n\n".join(drifts), pytrace=False)


def test_conventions_assign_the_variables_of_all_guides() -> None:
    assigned = [command.text.partition("=")[0] for command in first_commands() if "=" in command.text.split()[0]]
    assert assigned == ["SERVICE", "TOKEN", "PATH", "HARBOR", "PUBLISHER", "AUDITOR"]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_call_of_a_guide_shows_its_reply(guide: str) -> None:
    calls = [command for command in commands_of_guide(guide) if "curl " in command.text]
    assert len(calls) > 3
    assert [command.text for command in calls if not command.output] == []
