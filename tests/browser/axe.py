"""What keeps people out of a page? Asked of axe-core, which npm brings."""

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.lacking import lacking

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


COLOURS = ("color-contrast",)
"""The rules for which it matters whether a page is light or dark."""


def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """The rules that the page breaks as it is shown now, and where; of these rules, if any are named."""
    if page.evaluate("typeof axe") == "undefined":
        if not AXE.exists():
            lacking("axe-core")
        # What the browser is told to do so, no policy of the page forbids; the pages that follow have it when they come.
        page.evaluate(AXE.read_text())
        page.context.add_init_script(path=AXE)
    options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": list(rules)} if rules else {})
    found = page.evaluate("async options => (await axe.run(options)).violations", options)
    return [f"{one['help']}: {node['html']}" for one in found for node in one["nodes"]]
