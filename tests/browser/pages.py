"""Which pages are there to look at, on an empty ledger and on one with everything?"""

from api.access.console_sessions import CONSOLE
from api.console.rendering import COMPARE, DESK, OFFERS, PARTNERS, RUNS, TOKENS
from api.console.time_travel import AS_OF_POSITION
from api.service import Service
from domain.store.commit import current_head
from domain.store.records.runs import RunFilter, select_runs
from domain.values import Operation
from tests.support.examples import PARTNER
from tests.support.histories import full_ledger

PURCHASE = f"{DESK}?customerId=C-1&transactedAt=2026-11-24T12:30&offerUid"

PAGES = {
    "the offers": OFFERS,
    "a search": f"{OFFERS}?q=jar&status=active&channel=custom&redeemable=true",
    "the runs": RUNS,
    "a comparison": f"{COMPARE}?fromPosition=1",
    "the desk": DESK,
    "an answer of the desk": f"{PURCHASE}={full_ledger.OFFERS[0].offer_uid}",
    "the partners": PARTNERS,
    "the tokens": TOKENS,
}
"""For an operator, whatever is in the ledger."""

PAGES_OF_ONE = {
    "an offer of a batch": f"{OFFERS}/{full_ledger.OFFERS[0].offer_uid}",
    "an offer of a merchant, deleted": f"{OFFERS}/{full_ledger.MERCHANTS[1].offer_uid}",
    "a batch": f"{RUNS}/{Operation.SYNCHRONIZE}",
    "an offers file": f"{RUNS}/file",
    "a run that has failed": f"{RUNS}/failed",
    "a run in progress": f"{RUNS}/accepted",
    "a purchase without a reward": f"{PURCHASE}={full_ledger.OFFERS[9].offer_uid}",
    "a purchase of one of some offers": f"{PURCHASE}={full_ledger.MERCHANTS[0].external_id}",
    "a partner": f"{PARTNERS}/{PARTNER}",
}
"""For an operator, of what is in a ledger with everything. A run is named by its state or by what it is."""

REFUSALS = {"a page that is not there": f"{CONSOLE}/nothing", "a parameter that is wrong": f"{OFFERS}?status=lost"}


def path_of(path: str, service: Service) -> str:
    """`{RUNS}/failed` becomes the page of the newest run that has; others stay as they are."""
    with service.ledger.read() as tx:
        runs = [run for _, run in select_runs(tx, RunFilter(), 0, 100)]
    named = {
        f"{RUNS}/{word}": run.run_id
        for run in reversed(runs)
        for word in (run.state, getattr(run.input, "operation", "file"))
    }
    return f"{RUNS}/{named[path]}" if path in named else path


def just_now(path: str, service: Service) -> str:
    """The page in the past, of which nothing has changed but that it is past."""
    with service.ledger.read() as tx:
        position = current_head(tx).position
    return f"{path}{'&' if '?' in path else '?'}{AS_OF_POSITION}={position}"
