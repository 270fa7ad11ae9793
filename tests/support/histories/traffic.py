"""Random traffic on all channels as a list of steps, and the events that it records. Property tests use it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

from hypothesis import strategies as st

from api.service import Service
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.ledgers.redemption_ledger import PendingRedemption
from domain.ledgers.undo_ledger import accept_undo
from domain.redemption.activation import Activate
from domain.redemption.activation_group import PendingActivation
from domain.redemption.flight import ScheduleFlight
from domain.redemption.hold import HoldOffer, ReleaseOffer
from domain.redemption.redemption import Purchase, Reverse
from domain.refusals import Refused
from domain.store.records.runs import RunFilter, select_runs
from domain.values import Channel, OfferKey, Operation, Origin, Role, Source, redemption_uid
from tests.support.engine import empty_database
from tests.support.examples import PARTNER, item
from tests.support.harness import OPERATOR, Clock, execute_run, run_batch, run_ledger
from tests.support.histories.offers_files import document, process, record
from tests.support.histories.single_requests import delete, merchant_key, put

MERCHANTS = [merchant_key("MO-1"), merchant_key("MO-2", "M-2"), merchant_key("MO-1", partner="harbor")]
IDS = ["TP-1", "TP-2", "TP-3"]
KEYS = [*MERCHANTS, *(OfferKey(PARTNER, Channel.CUSTOM, None, name) for name in IDS)]
PUBLISHER = Origin("wallet", Source.PUBLISHER)
CUSTOMERS = ["C-1", "C-2"]
TRANSACTIONS = ["T-1", "T-2"]
TOKENS = ["feed", "books"]
HOLD_REASON = "wrong terms"

Step = Callable[[Service, Clock], object]


@contextmanager
def empty_service() -> Iterator[tuple[Service, Clock]]:
    clock = Clock()
    with (
        TemporaryDirectory() as folder,
        empty_database(Path(folder)) as settings,
        open_service(settings, clock) as service,
    ):
        for partner in (PARTNER, "harbor"):
            service.ledger.handle(
                SetPartner(partner, synchronize_per_day=0, insert_per_hour=0, daily_quota=0), OPERATOR
            )
        yield service, clock


def putting(key: OfferKey, name: str | None) -> Step:
    request = delete(key) if name is None else put(key, name)
    return lambda service, _clock: service.single_requests.execute([request])


def sending(operation: Operation, ids: Sequence[str], headline: str) -> Step:
    items = [item(name, headline=headline) for name in ids]
    return lambda service, _clock: run_batch(service.ledger, operation, items)


def activating(key: OfferKey, customer: str | None = None) -> Step:
    """Activates an offer for a customer, or for a new one if it is None."""

    def step(service: Service, _clock: Clock) -> None:
        activate = Activate(customer or str(uuid4()), key.offer_uid)
        service.activations.execute([PendingActivation(PUBLISHER, activate, uuid4())])

    return step


def waiting(days: int) -> Step:
    return lambda _service, clock: clock.move(days=days)


def sending_file(keys: Sequence[OfferKey], name: str) -> Step:
    """Processes an offers file; the partner's settings decide about missing offers."""
    sent = document([record(key, name=name) for key in keys])
    return lambda service, clock: process(run_ledger(service.ledger), sent, clock.now.date())


def scheduling(key: OfferKey, days: int) -> Step:
    def step(service: Service, clock: Clock) -> None:
        with suppress(Refused):
            service.activations.schedule(ScheduleFlight(key.offer_uid, clock.now, days), OPERATOR)

    return step


def holding(key: OfferKey, days: int | None) -> Step:
    """Holds an offer for some days, or until its release."""

    def step(service: Service, clock: Clock) -> None:
        until = None if days is None else clock.now + timedelta(days=days)
        with suppress(Refused):
            service.holds.execute(HoldOffer(key.offer_uid, until), OPERATOR._replace(reason=HOLD_REASON))

    return step


def releasing(key: OfferKey) -> Step:
    def step(service: Service, _clock: Clock) -> None:
        with suppress(Refused):
            service.holds.execute(ReleaseOffer(key.offer_uid), OPERATOR._replace(reason="corrected"))

    return step


def undoing(number: int) -> Step:
    """Undoes a run, if something of it can be undone. Number 0 is the newest run."""

    def step(service: Service, _clock: Clock) -> None:
        runs = run_ledger(service.ledger)
        with service.ledger.read() as tx:
            ids = [run.run_id for _, run in select_runs(tx, RunFilter(), 0, 100)]
        with suppress(Refused):
            undo = accept_undo(runs, ids[number % len(ids)] if ids else uuid4(), OPERATOR._replace(reason="wrong")).run
            if not undo.is_finished:
                execute_run(runs, undo)

    return step


def buying(transaction: str, key: OfferKey, customer: str) -> Step:
    def step(service: Service, clock: Clock) -> None:
        purchase = Purchase(transaction, customer, key.offer_uid, Decimal("12.50"), "USD", clock.now)
        service.redemptions.execute([PendingRedemption(PUBLISHER, purchase)])

    return step


def reversing(transaction: str, amount: str) -> Step:
    reverse = Reverse(redemption_uid(transaction), amount, Decimal(amount))
    return lambda service, _clock: service.redemptions.execute([PendingRedemption(PUBLISHER, reverse)])


def setting(**settings: Any) -> Step:
    return lambda service, _clock: service.ledger.handle(SetPartner(PARTNER, **settings), OPERATOR)


def switching_token(name: str) -> Step:
    """Creates a token, or revokes it if the name exists."""

    def step(service: Service, _clock: Clock) -> None:
        try:
            service.ledger.handle(CreateToken(name, Role.PARTNER, PARTNER, uuid4().hex, 0, None), OPERATOR)
        except Refused:
            service.ledger.handle(RevokeToken(name), OPERATOR)

    return step


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(putting, st.sampled_from(MERCHANTS), st.sampled_from(["one", "Two", None])),
    st.builds(
        sending,
        st.sampled_from(Operation),
        st.lists(st.sampled_from(IDS), min_size=1, unique=True),
        st.sampled_from(["one", "two"]),
    ),
    st.builds(
        sending_file, st.lists(st.sampled_from(MERCHANTS[:2]), min_size=1, unique=True), st.sampled_from(["one", "Two"])
    ),
    st.builds(activating, st.sampled_from(KEYS), st.sampled_from(CUSTOMERS)),
    st.builds(scheduling, st.sampled_from(KEYS), st.integers(30, 45)),
    st.builds(holding, st.sampled_from(KEYS), st.sampled_from([None, 1, 40])),
    st.builds(releasing, st.sampled_from(KEYS)),
    st.builds(undoing, st.integers(0, 3)),
    st.builds(buying, st.sampled_from(TRANSACTIONS), st.sampled_from(KEYS), st.sampled_from(CUSTOMERS)),
    st.builds(reversing, st.sampled_from(TRANSACTIONS), st.sampled_from(["5", "7.5"])),
    st.builds(setting, rps=st.integers(1, 3), missing_from_file=st.sampled_from(["report", "delete"])),
    st.builds(switching_token, st.sampled_from(TOKENS)),
    st.builds(waiting, st.sampled_from([0, 1, 30, 46])),
)


# Recorded events


class RecordedEvent(NamedTuple):
    """An event with its position and recorded time."""

    position: int
    recorded_at: int
    stream_id: int
    event: Any


def history(service: Service) -> list[RecordedEvent]:
    with service.ledger.recorder.read() as tx:
        entries = [entry for page in service.ledger.entries(tx) for entry in page]
        rows = tx.execute("SELECT commit_id, first_position, recorded_at FROM commits").fetchall()
    commits = {row["commit_id"]: (row["first_position"], row["recorded_at"]) for row in rows}
    events = []
    for entry in entries:
        first_position, recorded_at = commits[entry.commit_id]
        events.append(RecordedEvent(first_position + entry.ordinal, recorded_at, entry.stream_id, entry.event))
    return events
