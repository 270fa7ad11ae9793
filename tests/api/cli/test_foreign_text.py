"""Commands print the text of partners as plain text: no markup, and no control characters for the terminal."""

from pathlib import Path

import pytest

from api.settings import Settings
from tests.support.examples import PARTNER, batch, body, item
from tests.support.processes.shell import Run, control_characters, require_success, run_script

MARKUP = ["[bold]x[/bold]", "[/]", "[link=http://x]y[/link]", ":smile:", "\\[x]", "{x}", "%s"]
CONTROL_TEXTS = [
    "red \x1b[31m",
    "bell \x07",
    "two\nlines",
    "over\rwritten",
    "tab\tbed",
    "reversed \u202e",
    "c1 \x9b31m",
]


def import_offers(run: Run, folder: Path, document: dict[str, object]) -> str:
    path = folder / "offers.json"
    path.write_bytes(body(document))
    return require_success(run("import", path, "--partner", PARTNER))


@pytest.mark.parametrize("name", MARKUP)
def test_inventory_prints_markup_verbatim(partnered: Run, tmp_path: Path, name: str) -> None:
    import_offers(partnered, tmp_path, batch("Insert", [item(name)]))
    assert f" {name} " in require_success(partnered("inventory"))


@pytest.mark.parametrize("name", MARKUP)
def test_history_prints_markup_verbatim(partnered: Run, tmp_path: Path, name: str) -> None:
    import_offers(partnered, tmp_path, batch("Insert", [item(name)]))
    assert f" / {name} " in require_success(partnered("history", "--external-id", name))


@pytest.mark.parametrize("text", [text for text in MARKUP if "\\" not in text])
def test_history_prints_markup_in_changes_verbatim(partnered: Run, tmp_path: Path, text: str) -> None:
    for headline in ("before", text):
        import_offers(partnered, tmp_path, batch("Insert", [item(headline=headline)]))
    assert f'"{text}"' in require_success(partnered("history", "--external-id", "TP-1"))


@pytest.mark.parametrize("name", MARKUP)
def test_import_prints_markup_of_failed_offers_verbatim(partnered: Run, tmp_path: Path, name: str) -> None:
    printed = import_offers(partnered, tmp_path, batch("Insert", [item(), item(name, dailyCap=0)]))
    assert f"\n{name} " in printed


@pytest.mark.parametrize("name", CONTROL_TEXTS, ids=ascii)
def test_inventory_prints_no_control_characters(partnered: Run, tmp_path: Path, name: str) -> None:
    import_offers(partnered, tmp_path, batch("Insert", [item(name)]))
    printed = require_success(partnered("inventory"))
    assert control_characters(printed) == set()
    assert len(printed.splitlines()) == 2


@pytest.mark.parametrize("name", CONTROL_TEXTS, ids=ascii)
def test_history_prints_no_control_characters(partnered: Run, tmp_path: Path, name: str) -> None:
    import_offers(partnered, tmp_path, batch("Insert", [item(name)]))
    printed = require_success(partnered("history", "--external-id", name))
    assert control_characters(printed) == set()
    assert printed.splitlines()[1] == ""


@pytest.mark.parametrize("text", CONTROL_TEXTS, ids=ascii)
def test_history_prints_no_control_characters_in_changes(partnered: Run, tmp_path: Path, text: str) -> None:
    for headline in ("before", text):
        import_offers(partnered, tmp_path, batch("Insert", [item(headline=headline)]))
    assert control_characters(require_success(partnered("history", "--external-id", "TP-1"))) == set()


@pytest.mark.parametrize("name", CONTROL_TEXTS, ids=ascii)
def test_import_prints_no_control_characters_of_failed_offers(partnered: Run, tmp_path: Path, name: str) -> None:
    printed = import_offers(partnered, tmp_path, batch("Insert", [item(), item(name, dailyCap=0)]))
    assert control_characters(printed) == set()


@pytest.mark.parametrize("name", CONTROL_TEXTS, ids=ascii)
def test_import_prints_no_control_characters_of_unknown_members(partnered: Run, tmp_path: Path, name: str) -> None:
    printed = import_offers(partnered, tmp_path, batch("Insert", [item()]) | {name: 1})
    assert control_characters(printed) == set()
    assert "\nlines" not in printed


@pytest.mark.parametrize("name", CONTROL_TEXTS, ids=ascii)
def test_refusal_prints_no_control_characters(run: Run, name: str) -> None:
    assert control_characters(run("partners", "show", name).stderr) == set()


def test_token_list_prints_markup_verbatim(run: Run) -> None:
    for name in MARKUP:
        require_success(run("tokens", "create", "--role", "auditor", "--name", name))
    printed = require_success(run("tokens", "list"))
    assert {line.split()[0] for line in printed.splitlines()[1:]} == set(MARKUP)


def test_json_has_every_text_exactly(partnered: Run, tmp_path: Path) -> None:
    names = [*MARKUP, *CONTROL_TEXTS, "日本 🎉"]
    import_offers(partnered, tmp_path, batch("Insert", [item(name) for name in names]))
    assert [offer["externalId"] for offer in partnered("inventory", "--json").json["items"]] == names


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ascii_terminal_gets_no_traceback(
    partnered: Run, settings: Settings, tmp_path: Path, options: list[str]
) -> None:
    import_offers(partnered, tmp_path, batch("Insert", [item("日本 🎉")]))
    ended = run_script(settings, "inventory", *options, env={"PYTHONIOENCODING": "ascii"})
    assert (ended.exit_code, ended.stderr) == (0, "")
