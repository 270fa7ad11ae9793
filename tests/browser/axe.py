"""Runs axe-core, installed by npm, to find accessibility violations of a page."""

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.requirements import skip_or_fail

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


COLOURS = ("color-contrast",)
"""The rules that depend on the colour scheme."""


def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Returns the violations of the current page, with their elements. Checks only `rules`, if there are any."""
    if page.evaluate("typeof axe") == "undefined":
        if not AXE.exists():
            skip_or_fail("axe-core")
        # The security policy of a page does not restrict scripts of the test. Later pages get it at their start.
        page.evaluate(AXE.read_text())
        page.context.add_init_script(path=AXE)
    options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": list(rules)} if rules else {})
    results = page.evaluate("async options => (await axe.run(options)).violations", options)
    return [f"{rule['help']}: {node['html']}" for rule in results for node in rule["nodes"]]
