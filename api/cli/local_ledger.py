"""Opens the ledger of a command. Only `serve`, `init` and `partners set` create one."""

from collections.abc import Iterator
from contextlib import contextmanager

from api.cli.messages import print_notice
from api.service import Service
from api.settings import Settings
from api.wiring import create_ledger, open_service


@contextmanager
def open_ledger() -> Iterator[Service]:
    """Opens the ledger of the settings. Raises NoLedger if there is none, and creates nothing then."""
    with open_service(may_create=False) as service:
        yield service


def create_ledger_if_missing() -> None:
    """Creates the ledger if the database is empty, and reports where on standard error."""
    if place := create_ledger(Settings()):
        print_notice(f"Created a ledger in {place}.")
