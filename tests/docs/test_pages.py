"""The documentation is complete and its links resolve: each route, command, option and package is on its page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer.main
from typer.core import TyperGroup, TyperOption

from api.app import create_app
from api.cli.main import app
from api.openapi.document import openapi_document
from api.service import Service
from tests.support.generated_pages import DOCS, ROOT

PAGES = sorted(path for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")] if "template" not in path.name)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")
PACKAGES = sorted(
    str(path.parent.relative_to(ROOT))
    for folder in ("domain", "projections", "api")
    for path in (ROOT / folder).rglob("__init__.py")
)


def text_of(*names: str) -> str:
    return "\n".join(path.read_text() for name in names for path in sorted(DOCS.glob(name)))


def commands(command: Any, words: tuple[str, ...] = ("offer-ledger",)) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from commands(child, (*words, name))
    else:
        yield " ".join(words), command


COMMON_OPTIONS = ("--help", "--database")
COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_a_section_with_all_its_options(name: str) -> None:
    page = text_of("cli.md")
    assert f"## {name}" in page
    section = re.split(r"^## ", page.partition(f"## {name}\n")[2], flags=re.MULTILINE)[0]
    options = [param.opts[0] for param in COMMANDS[name].params if isinstance(param, TyperOption) and not param.hidden]
    assert [option for option in options if f"`{option}" not in section and option not in COMMON_OPTIONS] == []


def test_conventions_name_the_common_options() -> None:
    conventions = text_of("cli.md").partition("## Conventions")[2].partition("\n## ")[0]
    assert [option for option in COMMON_OPTIONS if f"`{option}" not in conventions] == []


def test_every_route_is_on_an_http_page(service: Service) -> None:
    pages = text_of("http/*.md")
    document = openapi_document(create_app(service))
    assert [path for path in document["paths"] if path not in pages] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_on_the_architecture_page(package: str) -> None:
    assert f"`{package}/`" in text_of("architecture/index.md")


def headings(page: Path) -> set[str]:
    """Returns the anchors of a page, as GitHub and Zensical form them."""
    found = set()
    for line in FENCE.sub("", page.read_text()).splitlines():
        if heading := re.match(r"#+ (.*)", line):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            found.add(re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-"))
    return found


def links(page: Path) -> Iterator[str]:
    for match in LINK.finditer(FENCE.sub("", page.read_text())):
        yield match[1] or match[2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_page_resolve(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / unquote(name)).resolve() if name else page
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            assert anchor in headings(target), f"{link}: there is no such heading"


def test_every_page_is_linked_from_the_index() -> None:
    index = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "index.md")}
    records = {path for path in DOCS.glob("decisions/*.md") if path.name != "index.md"}
    missing = set(DOCS.rglob("*.md")) - index - records - {DOCS / "index.md"}
    assert {str(path.relative_to(DOCS)) for path in missing} == set()


def test_every_decision_is_in_the_list_of_decisions() -> None:
    listed = {link.partition("#")[0] for link in links(DOCS / "decisions" / "index.md")}
    assert {path.name for path in DOCS.glob("decisions/0*.md")} <= listed


def test_readme_is_short() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 200
    assert len(readme.split()) <= 1_000
