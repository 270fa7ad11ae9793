"""What keeps people out of a page? Asked of axe-core, which npm brings."""

from pathlib import Path

from playwright.sync_api import Page

from tests.console.lacking import lacking

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """The rules that the page breaks, as it is shown now, and where."""
    if page.evaluate("typeof axe") == "undefined":
        if not AXE.exists():
            lacking("axe-core")
        page.evaluate(AXE.read_text())  # what the browser is told to do so, no policy of the page forbids
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{one['help']}: {node['html']}" for one in found for node in one["nodes"]]
