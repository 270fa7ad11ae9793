"""A small ledger with something of everything that can be in one. `python -m tests.support.histories.full_ledger` makes it where the settings say.

So the ledgers in tests/domain/store/golden were made, by the program of their version: on SQLite followed by `offer-ledger backup`
and gzip; on PostgreSQL, in the schema golden_ledger, by `pg_dump --inserts --no-owner --schema=golden_ledger`, of which the lines
that begin with `SET`, `SELECT pg_catalog.set_config`, `--` or a backslash were left out. They stay as they are for ever.
"""

from uuid import uuid4

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.values import Channel, MissingFromFile, OfferKey, Operation
from tests.support.examples import PARTNER, batch, item
from tests.support.harness import OPERATOR, Clock, run_ledger
from tests.support.histories.offers_files import PICTURE
from tests.support.histories.runs import PROBLEM, accepted, accepted_batch, request
from tests.support.histories.single_requests import merchant_key
from tests.support.histories.traffic import (
    Step,
    activating,
    buying,
    filing,
    minting,
    putting,
    scheduling,
    sending,
    setting,
    taking_back,
    waiting,
)

OTHER = "harbor"
OFFERS = [OfferKey(PARTNER, Channel.CUSTOM, None, f"TP-{number}") for number in range(1, 13)]
IDS = [key.external_id for key in OFFERS]
MERCHANTS = [*(merchant_key(f"MO-{number}") for number in range(1, 5)), merchant_key("MO-1", "M-2", OTHER)]

STEPS: list[Step] = [
    sending(Operation.SYNCHRONIZE, IDS, "Open a jar"),
    minting("feed"),
    minting("books"),
    *(putting(key, "one") for key in MERCHANTS),
    scheduling(OFFERS[0], 30),
    waiting(1),
    *(activating(key, customer) for key in (*OFFERS[:4], *MERCHANTS) for customer in ("C-1", "C-2")),
    buying("T-1", OFFERS[0], "C-1"),
    buying("T-2", MERCHANTS[0], "C-2"),
    buying("T-3", OFFERS[9], "C-1"),
    taking_back("T-1", "5"),
    waiting(1),
    # Four are paused, eight have another headline.
    sending(Operation.SYNCHRONIZE, IDS[:8], "Fill a jar"),
    sending(Operation.INSERT, [*IDS[7:10], "TP-13"], "Break a jar"),
    minting("books"),
    setting(rps=5, missing_from_file=MissingFromFile.DELETE),
    waiting(1),
    filing(MERCHANTS[:2], PICTURE),
    putting(MERCHANTS[0], None),
    putting(MERCHANTS[0], "two"),
    putting(MERCHANTS[1], None),
    putting(MERCHANTS[1], None),
    waiting(40),
    buying("T-4", OFFERS[1], "C-1"),
    buying("T-5", OFFERS[0], "C-2"),
]


def record_everything(service: Service, clock: Clock) -> None:
    """The clock is that of the service."""
    for partner in (PARTNER, OTHER):
        service.ledger.handle(SetPartner(partner, synchronize_per_day=0, insert_per_hour=0, daily_quota=50), OPERATOR)
    for step in STEPS:
        step(service, clock)
    runs = run_ledger(service.ledger)
    runs.fail(accepted_batch(runs, batch("Insert", [item("TP-20")])), PROBLEM)
    # Nobody has carried this one out yet.
    accepted(runs, b"{}", request(b"{}", request_id=uuid4(), partner=OTHER))


if __name__ == "__main__":
    standing = Clock()
    with open_service(Settings(), standing) as opened:
        record_everything(opened, standing)
