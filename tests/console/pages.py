"""Which pages are there to look at?"""

from api.console.moment import AS_OF_POSITION
from api.console.rendering import CONSOLE, OFFERS

PAGES = {
    "the offers": OFFERS,
    "a search": f"{OFFERS}?q=jar&status=active&channel=custom&redeemable=true",
    "a search that finds nothing": f"{OFFERS}?q=nothing",
    "a page that is not there": f"{CONSOLE}/nothing",
    "a parameter that is wrong": f"{OFFERS}?status=lost",
}
"""For an operator, by name."""


def in_the_past(path: str, position: int) -> str:
    return f"{path}{'&' if '?' in path else '?'}{AS_OF_POSITION}={position}"
