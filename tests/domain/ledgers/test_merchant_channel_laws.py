"""Laws of the merchant channel: any sequence of single requests and files has the effects of a simple model."""

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
from domain.single_requests.group import CountedRefusal
from domain.values import MissingFromFile, OfferKey, Status
from projections.access import partners
from projections.maintenance.verification import verify
from projections.offers import decision_state, inventory
from projections.offers.inventory import OfferFilter
from tests.support.engine import examples
from tests.support.harness import Clock, outcome_of, run_ledger
from tests.support.histories.merchant_model import (
    File,
    FileRecord,
    ItemResult,
    MerchantModel,
    ModelRequest,
    changes,
    results_of,
)
from tests.support.histories.offers_files import PICTURE, TODAY, after_validation, content, process, put, set_missing
from tests.support.histories.runs import count_rows, open_ledger
from tests.support.histories.single_requests import OfferState, delete, merchant_key, outcomes_of, set_quota

KEYS = [merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")]


class NewFile(NamedTuple):
    """A file, and the single requests during the validation of its records."""

    days_after_newest: int
    records: tuple[FileRecord, ...]
    between: list[ModelRequest]
    missing: MissingFromFile
    """Partner setting at the end of the validation."""


class RepeatedFile(NamedTuple):
    """An earlier file, if there is one. Number 0 is the latest one."""

    number: int


class FileStep(NamedTuple):
    """A file with its date, and the single requests and the setting during its validation."""

    file: File
    between: list[ModelRequest]
    missing: MissingFromFile


Step = list[ModelRequest] | NewFile | RepeatedFile
"""A list is a group of single requests."""

keys = st.sampled_from(KEYS)
names = st.sampled_from(["a", "b", PICTURE])
request_groups = st.lists(st.tuples(keys, names | st.none()), min_size=1, max_size=3)
valid_records = st.builds(FileRecord, keys, st.sampled_from([str(status) for status in OfferStatus]), names, st.none())
flaws = st.sampled_from(["offerStatus", "offerName", "assets", "offerId", "merchantId", "record"])
broken_records = st.builds(FileRecord, keys, st.sampled_from(["NEW", "UPSERT"]), names, flaws)
broken_files = st.lists(valid_records | broken_records, max_size=4)
valid_files = st.lists(valid_records, min_size=1, max_size=3, unique_by=lambda file_record: file_record.key)
file_records = (valid_files | valid_files | valid_files | valid_files | broken_files).map(tuple)
new_files = st.builds(
    NewFile,
    st.sampled_from([0, 1, 1, -1]),
    file_records,
    request_groups | st.just([]),
    st.sampled_from(MissingFromFile),
)
steps = st.lists(
    request_groups | new_files | new_files | st.builds(RepeatedFile, st.integers(0, 3)), min_size=10, max_size=20
)


class Channel:
    """A partner's merchant channel, through the ledgers of the service."""

    def __init__(self, ledger: OfferLedger) -> None:
        self.ledger = ledger
        self.runs: RunLedger = run_ledger(ledger)
        self.single_requests = SingleRequestLedger(
            ledger, decision_state.offers_lookup, decision_state.find_existing_ids, partners.terms_lookup
        )

    def execute(self, group: Sequence[ModelRequest]) -> list[Any]:
        """Executes single requests, and returns the outcome and version of each."""
        requests = [delete(key) if name is None else put(key, name) for key, name in group]
        return outcomes_of(self.single_requests.execute(requests))

    def process(self, file: File, between: Callable[[], object] = lambda: None) -> Run:
        return process(self.runs, file.sent(), TODAY.replace(day=file.day), watch=after_validation(between))

    def results_of(self, run: Run) -> list[ItemResult]:
        return results_of(outcome_of(self.ledger, run))

    def inventory(self) -> dict[OfferKey, OfferState]:
        """Returns the inventory in the form of the model, and checks that each content is as sent."""
        offers = {}
        with self.ledger.recorder.read() as tx:
            views = inventory.page(tx, OfferFilter(), Clock().now, 0, 1000).items
        for view in views:
            key = merchant_key(view.external_id, str(view.merchant_id), view.partner)
            stored = json.loads(bytes(view.content))
            assert stored == content(key, stored["offerName"])
            assert key.offer_uid == view.offer_uid
            offers[key] = OfferState(Status(view.status), stored["offerName"], view.version)
        return offers

    def events_of(self, run: Run) -> int:
        with self.ledger.recorder.read() as tx:
            result = tx.execute("SELECT sum(event_count) AS n FROM commits WHERE run_id = ?", (str(run.run_id),))
            return result.fetchone()["n"] or 0


@contextmanager
def empty_channel() -> Iterator[Channel]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder) / "ledger.db", clock) as ledger:
        set_quota(ledger, 0)
        yield Channel(ledger)


def with_dates(steps: Sequence[Step]) -> Iterator[list[ModelRequest] | FileStep]:
    """Yields the steps with the dates of their files."""
    files: list[File] = []
    for step in steps:
        if isinstance(step, NewFile):
            newest = max((file.day for file in files), default=3)
            files.append(File(newest + step.days_after_newest, step.records))
            yield FileStep(files[-1], step.between, step.missing)
        elif isinstance(step, RepeatedFile):
            if files:
                yield FileStep(files[-1 - step.number % len(files)], [], MissingFromFile.DELETE)
        else:
            yield step


def compare_step(channel: Channel, model: MerchantModel, step: list[ModelRequest] | FileStep) -> None:
    """Executes a step, and compares its results with those of the model."""
    if isinstance(step, list):
        assert channel.execute(step) == [model.execute(*request) for request in step]
    elif model.is_too_old(step.file):
        before = count_rows(channel.ledger, "runs")
        with pytest.raises(FileSuperseded):
            channel.process(step.file)
        assert count_rows(channel.ledger, "runs") == before
    elif (expected := model.earlier_results(step.file)) is not None:
        run = channel.process(step.file, lambda: pytest.fail("a repeated file must not be executed"))
        assert channel.results_of(run) == expected
    else:
        compare_file(channel, model, step)


def compare_file(channel: Channel, model: MerchantModel, step: FileStep) -> None:
    singles: list[Any] = []
    before = dict(model.offers)

    def between() -> None:
        singles.extend(channel.execute(step.between))
        set_missing(channel.ledger, step.missing)

    run = channel.process(step.file, between)
    assert singles == [model.execute(*request) for request in step.between]
    model.missing = step.missing
    expected = model.process(step.file, before)
    assert (run.state, channel.results_of(run)) == (RunState.COMPLETED, expected)
    assert channel.events_of(run) == changes(expected)


ENOUGH = settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@ENOUGH
@given(steps)
def test_single_requests_and_files_have_the_effects_of_the_model(sent: list[Step]) -> None:
    model = MerchantModel()
    with empty_channel() as channel:
        for step in with_dates(sent):
            compare_step(channel, model, step)
            assert channel.inventory() == model.offers
        assert verify(channel.ledger) == []


@ENOUGH
@given(steps)
def test_repeated_requests_and_files_change_nothing(sent: list[Step]) -> None:
    with empty_channel() as channel:
        for step in with_dates(sent):
            if isinstance(step, list):
                for request in step:
                    compare_repeated_request(channel, request)
            else:
                set_missing(channel.ledger, step.missing)
                compare_repeated_file(channel, step.file)
        assert verify(channel.ledger) == []


def compare_repeated_request(channel: Channel, request: ModelRequest) -> None:
    """Executes a request twice, and checks that the second one changes nothing."""
    (first,) = channel.execute([request])
    before = channel.inventory(), count_rows(channel.ledger, "events")
    (second,) = channel.execute([request])
    if first is CountedRefusal:
        assert second is CountedRefusal
    else:
        assert (second[0] in {"unchanged", "unknown"}, second[1]) == (True, first[1])
    assert (channel.inventory(), count_rows(channel.ledger, "events")) == before


def compare_repeated_file(channel: Channel, file: File) -> None:
    """Processes a file twice, with other bytes, and again. Checks that only the first one changes anything."""
    runs_before = count_rows(channel.ledger, "runs")
    try:
        run = channel.process(file)
    except FileSuperseded:
        with pytest.raises(FileSuperseded):
            channel.process(file)
        return
    before = channel.inventory(), count_rows(channel.ledger, "events")
    assert channel.process(file) == run
    if count_rows(channel.ledger, "runs") == runs_before:
        return  # It is the newest file. Single requests may have changed its offers since, so it might change them back.
    equivalent = process(channel.runs, file.sent() + b"\n", TODAY.replace(day=file.day))
    assert (equivalent.run_id != run.run_id, channel.events_of(equivalent)) == (True, 0)
    put_back = channel.process(file)
    assert (put_back.run_id != run.run_id, channel.events_of(put_back)) == (equivalent.is_counted, 0)
    assert (channel.inventory(), count_rows(channel.ledger, "events")) == before
