"""Whatever single requests and offers files follow each other: it comes out as the plainest model says."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.refusals import FileSuperseded
from domain.runs.file_reconciliation import OfferStatus
from domain.runs.run import Run, RunState
from domain.values import MissingFromFile, OfferKey, Status
from projections.access import partners
from projections.maintenance.verification import verify
from projections.offers import decision_state, inventory
from projections.offers.inventory import OfferFilter
from tests.support.engine import examples
from tests.support.harness import Clock, outcome_of, run_ledger
from tests.support.histories.merchant_model import Asked, Fate, File, MerchantModel, Said, changes, told_of
from tests.support.histories.offers_files import PICTURE, TODAY, content, once_judged, process, put, set_missing
from tests.support.histories.runs import opened, rows
from tests.support.histories.single_requests import Known, delete, merchant_key, set_quota, told

KEYS = [merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")]


class Sending(NamedTuple):
    """A file, and what comes while its records are judged."""

    days_on: int
    """From the newest one to this one."""
    said: tuple[Said, ...]
    between: list[Asked]
    missing: MissingFromFile
    """What is set by then."""


class Resending(NamedTuple):
    """A file that was sent before, the last one being 0; if there is one."""

    back: int


class Processing(NamedTuple):
    """A file in its place in time, with what comes in between."""

    file: File
    between: list[Asked]
    missing: MissingFromFile


Step = list[Asked] | Sending | Resending
"""A list is a group of single requests."""

keys = st.sampled_from(KEYS)
names = st.sampled_from(["a", "b", PICTURE])
asked = st.lists(st.tuples(keys, names | st.none()), min_size=1, max_size=3)
in_order = st.builds(Said, keys, st.sampled_from([str(status) for status in OfferStatus]), names, st.none())
flaws = st.sampled_from(["offerStatus", "offerName", "assets", "offerId", "merchantId", "record"])
broken = st.builds(Said, keys, st.sampled_from(["NEW", "UPSERT"]), names, flaws)
odd = st.lists(in_order | broken, max_size=4)
proper = st.lists(in_order, min_size=1, max_size=3, unique_by=lambda said: said.key)
dumps = (proper | proper | proper | proper | odd).map(tuple)
sendings = st.builds(
    Sending, st.sampled_from([0, 1, 1, -1]), dumps, asked | st.just([]), st.sampled_from(MissingFromFile)
)
steps = st.lists(asked | sendings | sendings | st.builds(Resending, st.integers(0, 3)), min_size=10, max_size=20)


class Channel:
    """A partner's merchant channel, by its real doors."""

    def __init__(self, ledger: OfferLedger) -> None:
        self.ledger = ledger
        self.runs: RunLedger = run_ledger(ledger)
        self.traces = SingleRequestLedger(ledger, decision_state.find_offers, partners.find_terms)

    def execute(self, asked: Sequence[Asked]) -> list[Any]:
        """Outcome and version of each single request."""
        requests = [delete(key) if name is None else put(key, name) for key, name in asked]
        return told(self.traces.execute(requests))

    def process(self, file: File, between: Callable[[], object] = lambda: None) -> Run:
        return process(self.runs, file.sent(), TODAY.replace(day=file.day), watch=once_judged(between))

    def told(self, run: Run) -> list[Fate]:
        return told_of(outcome_of(self.ledger, run))

    def shown(self) -> dict[OfferKey, Known]:
        """The inventory, in the model's words; every content is exactly what was sent."""
        offers = {}
        with self.ledger.recorder.read() as tx:
            views = inventory.page(tx, OfferFilter(), Clock().now, 0, 1000).items
        for view in views:
            key = merchant_key(view.external_id, str(view.merchant_id), view.partner)
            shown = json.loads(bytes(view.content))
            assert shown == content(key, shown["offerName"])
            assert key.offer_uid == view.offer_uid
            offers[key] = Known(Status(view.status), shown["offerName"], view.version)
        return offers

    def events_of(self, run: Run) -> int:
        with self.ledger.recorder.read() as tx:
            found = tx.execute("SELECT sum(event_count) AS n FROM commits WHERE run_id = ?", (str(run.run_id),))
            return found.fetchone()["n"] or 0


@contextmanager
def empty_channel() -> Iterator[Channel]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "ledger.db", clock) as ledger:
        set_quota(ledger, 0)
        yield Channel(ledger)


def in_place(steps: Sequence[Step]) -> Iterator[list[Asked] | Processing]:
    """The steps with their files as they are sent."""
    files: list[File] = []
    for step in steps:
        if isinstance(step, Sending):
            newest = max((file.day for file in files), default=5)
            files.append(File(newest + step.days_on, step.said))
            yield Processing(files[-1], step.between, step.missing)
        elif isinstance(step, Resending):
            if files:
                yield Processing(files[-1 - step.back % len(files)], [], MissingFromFile.DELETE)
        else:
            yield step


def require_the_same(channel: Channel, model: MerchantModel, step: list[Asked] | Processing) -> None:
    """The step does and tells what the model says."""
    if isinstance(step, list):
        assert channel.execute(step) == [model.execute(*one) for one in step]
    elif model.is_too_old(step.file):
        before = rows(channel.ledger, "runs")
        with pytest.raises(FileSuperseded):
            channel.process(step.file)
        assert rows(channel.ledger, "runs") == before
    elif (fates := model.answer(step.file)) is not None:
        run = channel.process(step.file, lambda: pytest.fail("it is carried out again"))
        assert channel.told(run) == fates
    else:
        require_the_same_of_a_file(channel, model, step)


def require_the_same_of_a_file(channel: Channel, model: MerchantModel, step: Processing) -> None:
    singles: list[Any] = []
    before = dict(model.offers)

    def between() -> None:
        singles.extend(channel.execute(step.between))
        set_missing(channel.ledger, step.missing)

    run = channel.process(step.file, between)
    assert singles == [model.execute(*one) for one in step.between]
    model.missing = step.missing
    fates = model.process(step.file, before)
    assert (run.state, channel.told(run)) == (RunState.COMPLETED, fates)
    assert channel.events_of(run) == changes(fates)


ENOUGH = settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@ENOUGH
@given(steps)
def test_single_requests_and_files_do_what_the_model_does(sent: list[Step]) -> None:
    model = MerchantModel()
    with empty_channel() as channel:
        for step in in_place(sent):
            require_the_same(channel, model, step)
            assert channel.shown() == model.offers
        assert verify(channel.ledger) == []


@ENOUGH
@given(steps)
def test_asking_again_at_once_changes_nothing(sent: list[Step]) -> None:
    with empty_channel() as channel:
        for step in in_place(sent):
            if isinstance(step, list):
                for one in step:
                    require_idle_singles(channel, one)
            else:
                set_missing(channel.ledger, step.missing)
                require_idle_file(channel, step.file)
        assert verify(channel.ledger) == []


def require_idle_singles(channel: Channel, one: Asked) -> None:
    ((_, version),) = channel.execute([one])
    before = channel.shown(), rows(channel.ledger, "events")
    ((outcome, again),) = channel.execute([one])
    assert (outcome in {"unchanged", "unknown"}, again) == (True, version)
    assert (channel.shown(), rows(channel.ledger, "events")) == before


def require_idle_file(channel: Channel, file: File) -> None:
    """Be it the very same file, or one that says the same in another spelling."""
    try:
        run = channel.process(file)
    except FileSuperseded:
        with pytest.raises(FileSuperseded):
            channel.process(file)
        return
    before = channel.shown(), rows(channel.ledger, "events")
    respelt = process(channel.runs, file.sent() + b"\n", TODAY.replace(day=file.day))
    assert channel.process(file) == run
    assert (respelt.run_id != run.run_id, channel.events_of(respelt)) == (True, 0)
    assert (channel.shown(), rows(channel.ledger, "events")) == before
