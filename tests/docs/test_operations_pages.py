"""The queries on the operations pages run on PostgreSQL, and what monitoring.md quotes from the log is what the code logs."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import psycopg
import pytest

from api.service import Service
from api.settings import Settings
from tests.support.engine import only_postgres
from tests.support.generated_pages import DOCS, ROOT

PAGES = sorted((DOCS / "operations").glob("*.md"))
QUERIES = [
    f"{statement};"
    for page in PAGES
    for block in re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)
    for statement in block.split(";\n")
    if statement.startswith("SELECT")
]


def test_pages_have_queries() -> None:
    assert len(QUERIES) == 9


@only_postgres
@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("query", QUERIES)
def test_query_runs_on_postgresql(settings: Settings, query: str) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(f"SET search_path TO {settings.database_schema}".encode())
        connection.execute(query.encode())


@only_postgres
def test_chain_hash_of_backup_page_can_be_read(service: Service) -> None:
    (query,) = re.findall(r"\(`(SELECT encode[^`]*)`", (DOCS / "operations" / "backup.md").read_text())
    with service.ledger.recorder.read() as tx:
        assert len(tx.execute(query).fetchone()[0]) == 64


LOG_TABLE = (DOCS / "operations" / "monitoring.md").read_text().partition("### Log lines")[2].partition("\n## ")[0]
LOG_LINES = [
    line for row in re.findall(r"^\| (.*?) \|", LOG_TABLE, re.MULTILINE) for line in re.findall(r"`([^`]+)`", row)
]


@cache
def texts_in_code() -> str:
    """All string constants of the packages; adjacent ones are one text."""
    nodes = (
        node
        for folder in ("domain", "projections", "api")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
    )
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_monitoring_page_quotes_log_lines() -> None:
    assert len(LOG_LINES) > 15


@pytest.mark.parametrize("line", LOG_LINES)
def test_quoted_log_line_is_in_the_code(line: str) -> None:
    texts = texts_in_code()
    fragments = [part.strip(" :;,.()") for part in re.split(r"\b(?:[A-Z]{2,}|N)\b|…|\d+", line)]
    assert [fragment for fragment in fragments if len(fragment) > 3 and fragment not in texts] == []


LOGGED = {"info", "warning", "error", "exception"}
EXPLAINED_ELSEWHERE = ("method=%s", "Uvicorn running on %s")
"""The line of each request, and what `serve` prints at its start."""


def logged_texts() -> Iterator[str]:
    """All texts that the packages log, with `%` where a value is."""
    for folder in ("domain", "projections", "api"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name("logger" | "_logger"), attr=kind),
                        args=[ast.Constant(value=str(text)), *_],
                    ) if kind in LOGGED and not text.startswith(EXPLAINED_ELSEWHERE):
                        yield text


def test_each_logged_text_is_on_the_monitoring_page() -> None:
    texts = list(logged_texts())
    assert len(texts) > 15
    parts = {part.strip(" :;,.()") for text in texts for part in re.split(r"%[a-z]", text) if len(part) > 6}
    assert sorted(part for part in parts if part not in LOG_TABLE) == []
