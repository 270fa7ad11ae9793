"""`offer-ledger history` shows the events of one offer, arguments by its UUID or by its id at the partner."""

from uuid import uuid4

import pytest

from api.service import Service
from tests.support.examples import PARTNER
from tests.support.harness import Caller
from tests.support.processes.shell import (
    Run,
    WriteBatch,
    record_merchant_offer,
    require_refusal,
    require_success,
    require_usage_sentence,
)


@pytest.fixture
def eventful(partnered: Run, write_batch: WriteBatch) -> Run:
    """Returns `run` on a ledger with an offer TP-1 that was created, paused, resumed and changed."""
    for names, headline in ((["TP-1", "TP-2"], "First"), (["TP-2"], "First"), (["TP-1"], "Second")):
        file = write_batch("Synchronize", names, headline=headline)
        require_success(partnered("import", file, "--partner", PARTNER))
    return partnered


def uid_of(run: Run, external_id: str) -> str:
    return str(run("inventory", "--external-id", external_id, "--json").json["items"][0]["offerUid"])


def test_events_of_an_offer_are_listed_oldest_first(eventful: Run) -> None:
    items = eventful("history", "--external-id", "TP-1", "--json").json["items"]
    assert [(item["version"], item["type"]) for item in items] == [
        (1, "OfferCreated"),
        (2, "OfferPaused"),
        (3, "OfferResumed"),
        (4, "OfferUpdated"),
    ]


def test_json_of_a_history_equals_the_http_reply(eventful: Run, auditor: Caller) -> None:
    uid = uid_of(eventful, "TP-1")
    assert eventful("history", uid, "--json").json == auditor.get(f"/api/v1/offers/{uid}/history").json()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_offer_can_be_named_by_either_id(eventful: Run, options: list[str]) -> None:
    by_uid = require_success(eventful("history", uid_of(eventful, "TP-1"), *options))
    assert require_success(eventful("history", "--external-id", "TP-1", *options)) == by_uid


def test_text_has_the_offer_and_each_event_with_its_changes(eventful: Run) -> None:
    printed = require_success(eventful("history", "--external-id", "TP-1"))
    lines = [line.rstrip() for line in printed.splitlines()]
    assert lines[0] == f"{PARTNER} / custom / TP-1   {uid_of(eventful, 'TP-1')}   active"
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["1.", "2.", "3.", "4."]
    assert lines[-1].split() == ["/content/headline", '"First"', "->", '"Second"']


def test_text_has_the_actor_the_source_and_the_cause(eventful: Run) -> None:
    _, created, paused, *_ = require_success(eventful("history", "--external-id", "TP-1")).split("\n\n")
    actor = eventful("history", "--external-id", "TP-1", "--json").json["items"][0]["actor"]
    assert f"OfferCreated  by {actor} (cli), run " in created
    assert f"OfferPaused  by {actor} (cli), absent-from-synchronize" in paused


def test_text_shortens_long_values(partnered: Run, write_batch: WriteBatch) -> None:
    for headline in ("short", "x" * 500):
        partnered("import", write_batch("Insert", ["TP-1"], headline=headline), "--partner", PARTNER)
    *_, last = require_success(partnered("history", "--external-id", "TP-1")).splitlines()
    assert last.rstrip().endswith("xxx...")
    assert "x" * 100 not in last


# Selection of the offer


def test_id_of_several_partners_requires_the_partner(eventful: Run, write_batch: WriteBatch) -> None:
    eventful("partners", "set", "seagrass")
    eventful("import", write_batch("Insert", ["TP-1"]), "--partner", "seagrass")
    require_refusal(eventful("history", "--external-id", "TP-1"), "--partner")
    ended = eventful("history", "--external-id", "TP-1", "--partner", "seagrass")
    assert require_success(ended).startswith("seagrass / custom / TP-1 ")


def test_id_of_several_merchants_requires_the_merchant(run: Run, service: Service) -> None:
    shop, store = (record_merchant_offer(service, merchant, "M-1") for merchant in ("shop", "store"))
    require_refusal(run("history", "--external-id", "M-1"), "--merchant-id")
    by_merchant = run("history", "--external-id", "M-1", "--merchant-id", "store", "--json").json["items"]
    assert by_merchant[0]["offerUid"] == str(store) != str(shop)


@pytest.mark.parametrize(
    "arguments",
    [[uuid4()], ["--external-id", "TP-9"], ["--external-id", ""], ["--external-id", "TP-1", "--partner", "nobody"]],
)
def test_history_of_an_unknown_offer_is_refused(eventful: Run, arguments: list[object]) -> None:
    require_refusal(eventful("history", *arguments), "offer")


@pytest.mark.parametrize("arguments", [[], [uuid4(), "--external-id", "TP-1"], ["--partner", PARTNER]])
def test_offer_must_be_named_in_exactly_one_way(eventful: Run, arguments: list[object]) -> None:
    require_usage_sentence(eventful("history", *arguments), "OFFER_UID", "--external-id")


@pytest.mark.parametrize("uid", ["TP-1", "00000000", "é"])
def test_invalid_uid_is_a_usage_error_that_names_the_argument(eventful: Run, uid: str) -> None:
    require_usage_sentence(eventful("history", uid), "OFFER_UID")


def test_empty_uid_is_a_usage_error(partnered: Run, write_batch: WriteBatch) -> None:
    partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER)
    require_usage_sentence(partnered("history", ""), "OFFER_UID")
