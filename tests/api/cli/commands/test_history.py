"""offer-ledger history: all that has happened to one offer, by its uid or by its partner's id."""

from uuid import uuid4

import pytest

from api.service import Service
from tests.support.examples import PARTNER
from tests.support.harness import Caller
from tests.support.processes.shell import (
    Run,
    WriteBatch,
    record_merchant_offer,
    require_done,
    require_refusal,
    require_usage_sentence,
)


@pytest.fixture
def told(partnered: Run, write_batch: WriteBatch) -> Run:
    """`run`, with an offer TP-1 that was created, paused, resumed and changed."""
    for names, headline in ((["TP-1", "TP-2"], "First"), (["TP-2"], "First"), (["TP-1"], "Second")):
        file = write_batch("Synchronize", names, headline=headline)
        require_done(partnered("import", file, "--partner", PARTNER))
    return partnered


def uid_of(run: Run, external_id: str) -> str:
    return str(run("inventory", "--external-id", external_id, "--json").json["items"][0]["offerUid"])


def test_an_offers_events_are_told_oldest_first(told: Run) -> None:
    items = told("history", "--external-id", "TP-1", "--json").json["items"]
    assert [(item["version"], item["type"]) for item in items] == [
        (1, "OfferCreated"),
        (2, "OfferPaused"),
        (3, "OfferResumed"),
        (4, "OfferUpdated"),
    ]


def test_json_is_what_is_answered_over_http(told: Run, auditor: Caller) -> None:
    uid = uid_of(told, "TP-1")
    assert told("history", uid, "--json").json == auditor.get(f"/api/v1/offers/{uid}/history").json()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_offer_can_be_named_by_either_of_its_ids(told: Run, options: list[str]) -> None:
    by_uid = require_done(told("history", uid_of(told, "TP-1"), *options))
    assert require_done(told("history", "--external-id", "TP-1", *options)) == by_uid


def test_text_tells_the_offer_and_then_each_event_with_its_changes(told: Run) -> None:
    printed = require_done(told("history", "--external-id", "TP-1"))
    lines = [line.rstrip() for line in printed.splitlines()]
    assert lines[0] == f"{PARTNER} / custom / TP-1   {uid_of(told, 'TP-1')}   active"
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["1.", "2.", "3.", "4."]
    assert lines[-1].split() == ["/content/headline", '"First"', "->", '"Second"']


def test_text_tells_who_has_done_it_by_which_door_and_why(told: Run) -> None:
    _, created, paused, *_ = require_done(told("history", "--external-id", "TP-1")).split("\n\n")
    actor = told("history", "--external-id", "TP-1", "--json").json["items"][0]["actor"]
    assert f"OfferCreated  by {actor} (cli), run " in created
    assert f"OfferPaused  by {actor} (cli), absent-from-synchronize" in paused


def test_long_values_are_cut_in_text(partnered: Run, write_batch: WriteBatch) -> None:
    for headline in ("short", "x" * 500):
        partnered("import", write_batch("Insert", ["TP-1"], headline=headline), "--partner", PARTNER)
    *_, last = require_done(partnered("history", "--external-id", "TP-1")).splitlines()
    assert last.rstrip().endswith("xxx...")
    assert "x" * 100 not in last


# Which offer?


def test_an_id_of_several_partners_needs_the_partner_too(told: Run, write_batch: WriteBatch) -> None:
    told("partners", "set", "seagrass")
    told("import", write_batch("Insert", ["TP-1"]), "--partner", "seagrass")
    require_refusal(told("history", "--external-id", "TP-1"), "--partner")
    ended = told("history", "--external-id", "TP-1", "--partner", "seagrass")
    assert require_done(ended).startswith("seagrass / custom / TP-1 ")


def test_an_id_of_several_merchants_needs_the_merchant_too(run: Run, service: Service) -> None:
    shop, store = (record_merchant_offer(service, merchant, "M-1") for merchant in ("shop", "store"))
    require_refusal(run("history", "--external-id", "M-1"), "--merchant-id")
    by_merchant = run("history", "--external-id", "M-1", "--merchant-id", "store", "--json").json["items"]
    assert by_merchant[0]["offerUid"] == str(store) != str(shop)


@pytest.mark.parametrize(
    "named",
    [[uuid4()], ["--external-id", "TP-9"], ["--external-id", ""], ["--external-id", "TP-1", "--partner", "nobody"]],
)
def test_an_offer_that_is_not_there_is_refused(told: Run, named: list[object]) -> None:
    require_refusal(told("history", *named), "offer")


@pytest.mark.parametrize("named", [[], [uuid4(), "--external-id", "TP-1"], ["--partner", PARTNER]])
def test_an_offer_is_named_in_exactly_one_way(told: Run, named: list[object]) -> None:
    require_usage_sentence(told("history", *named), "OFFER_UID", "--external-id")


@pytest.mark.parametrize("uid", ["TP-1", "00000000", "é"])
def test_a_uid_that_is_none_is_a_usage_error_that_names_the_argument(told: Run, uid: str) -> None:
    require_usage_sentence(told("history", uid), "OFFER_UID")


def test_an_empty_uid_names_no_offer_even_if_there_is_only_one(partnered: Run, write_batch: WriteBatch) -> None:
    partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER)
    require_usage_sentence(partnered("history", ""), "OFFER_UID")
