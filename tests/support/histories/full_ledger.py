"""A small ledger with an example of every kind of data.

`python -m tests.support.histories.full_ledger` creates it in the database of the settings. The golden ledgers in
tests/domain/store/golden were created this way, each by the program of its version, and never change. On SQLite, `offer-ledger
backup` and gzip followed. On PostgreSQL, the schema golden_ledger was dumped by `pg_dump --inserts --no-owner
--schema=golden_ledger`, without the lines that start with `SET`, `SELECT pg_catalog.set_config`, `--` or a backslash.
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
from tests.support.histories.runs import PROBLEM, accepted_batch, accepted_run, request
from tests.support.histories.single_requests import merchant_key
from tests.support.histories.traffic import (
    Step,
    activating,
    buying,
    holding,
    putting,
    releasing,
    reversing,
    scheduling,
    sending,
    sending_file,
    setting,
    switching_token,
    undoing,
    waiting,
)

OTHER = "harbor"
OFFERS = [OfferKey(PARTNER, Channel.CUSTOM, None, f"TP-{number}") for number in range(1, 13)]
IDS = [key.external_id for key in OFFERS]
MERCHANTS = [*(merchant_key(f"MO-{number}") for number in range(1, 5)), merchant_key("MO-1", "M-2", OTHER)]

STEPS: list[Step] = [
    sending(Operation.SYNCHRONIZE, IDS, "Open a jar"),
    switching_token("feed"),
    switching_token("books"),
    *(putting(key, "one") for key in MERCHANTS),
    scheduling(OFFERS[0], 30),
    waiting(1),
    *(activating(key, customer) for key in (*OFFERS[:4], *MERCHANTS) for customer in ("C-1", "C-2")),
    buying("T-1", OFFERS[0], "C-1"),
    buying("T-2", MERCHANTS[0], "C-2"),
    buying("T-3", OFFERS[9], "C-1"),
    reversing("T-1", "5"),
    waiting(1),
    # Pauses four offers and changes the headline of eight.
    sending(Operation.SYNCHRONIZE, IDS[:8], "Fill a jar"),
    sending(Operation.INSERT, [*IDS[7:10], "TP-13"], "Break a jar"),
    switching_token("books"),
    setting(rps=5, missing_from_file=MissingFromFile.DELETE),
    waiting(1),
    sending_file(MERCHANTS[:2], PICTURE),
    putting(MERCHANTS[0], None),
    putting(MERCHANTS[0], "two"),
    putting(MERCHANTS[1], None),
    putting(MERCHANTS[1], None),
    waiting(40),
    buying("T-4", OFFERS[1], "C-1"),
    buying("T-5", OFFERS[0], "C-2"),
    holding(OFFERS[2], 30),
    holding(MERCHANTS[2], None),
    releasing(MERCHANTS[2]),
    # Undoes the Insert.
    undoing(1),
]


def record_everything(service: Service, clock: Clock) -> None:
    """Records everything in an empty service; `clock` is the service's clock."""
    for partner in (PARTNER, OTHER):
        service.ledger.handle(SetPartner(partner, synchronize_per_day=0, insert_per_hour=0, daily_quota=50), OPERATOR)
    for step in STEPS:
        step(service, clock)
    runs = run_ledger(service.ledger)
    runs.fail(accepted_batch(runs, batch("Insert", [item("TP-20")])), PROBLEM)
    # This run stays unfinished.
    accepted_run(runs, b"{}", request(b"{}", request_id=uuid4(), partner=OTHER))


if __name__ == "__main__":
    example_clock = Clock()
    with open_service(Settings(), example_clock) as example_service:
        record_everything(example_service, example_clock)
