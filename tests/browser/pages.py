"""The paths of all pages that the tests open."""

from api.access.console_sessions import CONSOLE
from api.console.rendering import COMPARE, DESK, OFFERS, PARTNERS, RUNS, TOKENS
from api.console.time_travel import AS_OF_POSITION
from api.service import Service
from domain.runs.run import Undo
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
    "the redemption desk": DESK,
    "a verdict": f"{PURCHASE}={full_ledger.OFFERS[0].offer_uid}",
    "the partners": PARTNERS,
    "the tokens": TOKENS,
}
"""Pages for an operator that exist in every ledger, also in an empty one."""

PAGES_OF_ONE = {
    "an offer of a batch": f"{OFFERS}/{full_ledger.OFFERS[0].offer_uid}",
    "an offer of a merchant, deleted": f"{OFFERS}/{full_ledger.MERCHANTS[1].offer_uid}",
    "a batch": f"{RUNS}/{Operation.SYNCHRONIZE}",
    "an offers file": f"{RUNS}/file",
    "an undo": f"{RUNS}/undo",
    "the plan of an undo": f"{RUNS}/{Operation.SYNCHRONIZE}?undo=plan",
    "a run that has failed": f"{RUNS}/failed",
    "a run in progress": f"{RUNS}/accepted",
    "a purchase without a reward": f"{PURCHASE}={full_ledger.OFFERS[9].offer_uid}",
    "a purchase with an ambiguous offer id": f"{PURCHASE}={full_ledger.MERCHANTS[0].external_id}",
    "a partner": f"{PARTNERS}/{PARTNER}",
}
"""Pages for an operator in a full ledger. A run is named by its state, its operation, `file` or `undo`."""

REFUSALS = {"a page that does not exist": f"{CONSOLE}/nothing", "an invalid parameter": f"{OFFERS}?status=lost"}


def path_of(path: str, service: Service) -> str:
    """Replaces the name of a run, as in `{RUNS}/failed`, by the id of the newest such run. Keeps other paths."""
    with service.ledger.read() as tx:
        runs = [run for _, run in select_runs(tx, RunFilter(), 0, 100)]
    ids = {
        f"{RUNS}/{word}": run.run_id
        for run in reversed(runs)
        for word in (run.state, "undo" if isinstance(run.input, Undo) else getattr(run.input, "operation", "file"))
    }
    page, mark, query = path.partition("?")
    return f"{RUNS}/{ids[page]}{mark}{query}" if page in ids else path


def as_past(path: str, service: Service) -> str:
    """Returns the path as of the newest position: a past state with the same data as now."""
    with service.ledger.read() as tx:
        position = current_head(tx).position
    return f"{path}{'&' if '?' in path else '?'}{AS_OF_POSITION}={position}"
