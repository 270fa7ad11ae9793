"""The content of a record is treated like that of a PUT: stored as sent, with shared images (contract, 2 and 4)."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.service import Service
from api.settings import Settings
from projections.maintenance import verification
from projections.maintenance.rebuild import rebuild
from tests.support.calls.merchants import (
    IMAGE_URL,
    OTHER_PNG,
    PNG,
    SEED_SAMPLE,
    delete,
    history_of,
    limit,
    offer_of,
    outcome_and_version,
    put,
    trace_of,
    uid_of,
)
from tests.support.calls.offers_files import (
    NAME,
    NEXT_DAY,
    content,
    messages,
    nonzero_counts,
    offers_file,
    outcomes,
    record,
    send_file,
    send_form,
    send_json,
)
from tests.support.examples import body
from tests.support.harness import Caller
from tests.support.histories.runs import count_rows

MEBIBYTE = 1024 * 1024
STATUSES = ("NEW", "UPDATED", "UPSERT", "NO-CHANGE")


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", **getattr(request, "param", {}))


@pytest.fixture(autouse=True)
def _no_rate_limit(service: Service) -> None:
    limit(service)


def with_image(offer: str, image: str, status: str = "UPSERT") -> dict[str, Any]:
    sent = record(offer, status)
    sent["assets"]["logo"]["value"]["large"] = {"content": image}
    return sent


def file_around(text: str) -> bytes:
    """Returns a file whose only record has this text."""
    return body(offers_file("HERE")).replace(b'"HERE"', text.encode())


def text_of(caller: Caller, offer: str) -> bytes:
    """Returns the text of an offer in the reply of the service."""
    return caller.get(f"/api/v1/offers/{uid_of(offer=offer)}").content


# The same content


@pytest.mark.parametrize("status", STATUSES)
def test_file_with_the_content_of_a_put_changes_nothing(partner: Caller, status: str) -> None:
    put(partner, content(record("A")), offer="A")
    before = offer_of(partner, offer="A")
    assert outcomes(send_file(partner, record("A", status))) == {"unchanged": ["A"]}
    assert offer_of(partner, offer="A") == before


@pytest.mark.parametrize("status", STATUSES)
def test_put_with_the_content_of_a_file_changes_nothing(partner: Caller, status: str) -> None:
    send_file(partner, record("A", status))
    assert outcome_and_version(partner, put(partner, content(record("A")), offer="A")) == ("unchanged", 1)


def test_same_content_in_another_spelling_changes_nothing(partner: Caller) -> None:
    sent = record("A", terms={"min": 10, "max": 2.5})
    text = json.dumps(sent)
    send_json(partner, file_around(text))
    spellings = {
        "white space": json.dumps(sent, indent=3),
        "the order of names": json.dumps(dict(reversed(sent.items()))),
        "another status": json.dumps(sent | {"offerStatus": "NO-CHANGE"}),
        "numbers": text.replace('"min": 10', '"min": 1.0e1'),
        "escapes": text.replace("Offer A", r"\u004fffer A").replace("/", r"\/"),
        "an escaped name": text.replace('"offerName"', r'"\u006ffferName"'),
        "an escaped status": text.replace('"offerStatus": "UPSERT"', r'"offer\u0053tatus": "\u0055PSERT"'),
        "null members": text[:-1] + ', "note": null}',
    }
    for name, spelling in spellings.items():
        assert outcomes(send_json(partner, file_around(spelling))) == {"unchanged": ["A"]}, name
    assert offer_of(partner, offer="A")["content"] == content(sent)


def test_record_with_known_bytes_is_compared_with_the_present_content(partner: Caller) -> None:
    """The ledger recognises a record by its bytes. Changes in between must still count."""
    sent = with_image("A", PNG)
    for name in ("TidepoolOffers20261101.json", "TidepoolOffers20261102.json"):
        send_file(partner, sent, name=name)
    put(partner, content(record("A", offerName="Another")), offer="A")
    assert outcomes(send_file(partner, sent, name="TidepoolOffers20261103.json")) == {"updated": ["A"]}
    delete(partner, offer="A")
    assert outcomes(send_file(partner, sent, name="TidepoolOffers20261104.json")) == {"restored": ["A"]}
    assert offer_of(partner, offer="A")["content"] == content(sent)
    assert [event["version"] for event in history_of(partner, offer="A")] == [1, 2, 3, 4, 5]


def test_unsuitable_status_is_reported_for_known_bytes_too(partner: Caller) -> None:
    replies = [send_file(partner, record("A", "NEW"), name=name) for name in (NAME, NEXT_DAY)]
    assert [nonzero_counts(reply) for reply in replies] == [{"created": 1}, {"unchanged": 1}]
    assert messages(replies[1]) == {"A": ["offerStatus: NEW, but the offer is known; treated as UPSERT"]}


# Stored values


def test_values_are_returned_byte_for_byte_without_the_status(partner: Caller) -> None:
    values = {
        "white space": '{ "a" : [ 1 ,\n 2 ] }',
        "numbers": "[1.0, 1e2, -0.0, 0.000001, 9007199254740991]",
        "escapes": r'"\u0041\/\"\\\n"',
        "beyond ASCII": '"áé 商店 😀 \u2028"',
        "a status of its own": '{"offerStatus": "NEW", "x": "offerStatus"}',
        "a null": "null",
    }
    for n, (name, value) in enumerate(values.items()):
        sent = json.dumps(record(f"A-{n}", note="HERE"), ensure_ascii=False).replace('"HERE"', value)
        assert nonzero_counts(send_json(partner, file_around(sent)))["created"] == 1, name
        assert f'"note":{value}'.encode() in text_of(partner, f"A-{n}"), name
        assert "offerStatus" not in offer_of(partner, offer=f"A-{n}")["content"]


def test_unknown_members_are_stored(partner: Caller) -> None:
    sent = record("A", terms={"minimum": "10.00", "days": [1, 2, {"x": None}]}, x=True)
    sent["assets"]["video"] = {"type": "VIDEO"}
    sent["assets"]["logo"]["alt"] = "Logo"
    send_form(partner, offers_file(sent))
    assert offer_of(partner, offer="A")["content"] == content(sent)
    assert outcomes(send_file(partner, sent | {"x": False})) == {"updated": ["A"]}
    change = {"field": "/content/x", "before": True, "after": False}
    assert history_of(partner, offer="A")[-1]["changes"] == [change]


# Images


@pytest.mark.parametrize("image", [PNG, PNG.partition(",")[2], "x", "AAAA" * 30_000, "😀" * 500])
def test_image_is_returned_as_sent(partner: Caller, image: str) -> None:
    sent = with_image("A", image)
    send_file(partner, sent)
    assert offer_of(partner, offer="A")["content"] == content(sent)


def test_image_with_escapes_is_returned_byte_for_byte(partner: Caller) -> None:
    spelt = json.dumps(PNG).replace("/", r"\/")
    send_json(partner, file_around(json.dumps(with_image("A", "HERE")).replace('"HERE"', spelt)))
    assert spelt.encode() in text_of(partner, "A")


def test_image_is_stored_once_for_records_and_puts(partner: Caller, service: Service) -> None:
    put(partner, content(with_image("A", PNG)), offer="A")
    assert nonzero_counts(send_file(partner, *(with_image(f"B-{n}", PNG) for n in range(5))))["created"] == 5
    assert count_rows(service.ledger, "images") == 1
    send_file(partner, with_image("C", OTHER_PNG), with_image("B-0", OTHER_PNG))
    put(partner, content(with_image("D", OTHER_PNG)), offer="D")
    assert count_rows(service.ledger, "images") == 2
    assert offer_of(partner, offer="B-0")["content"] == content(with_image("B-0", OTHER_PNG))
    assert offer_of(partner, offer="B-1")["content"] == content(with_image("B-1", PNG))


def test_image_of_a_record_without_changes_is_not_stored(partner: Caller, service: Service) -> None:
    put(partner, content(record("A", assets=SEED_SAMPLE["assets"])), offer="A")
    broken = with_image("B", OTHER_PNG) | {"offerName": ""}
    reply = send_file(partner, with_image("A", PNG, "NO-CHANGE"), broken, with_image("C", PNG, "DELETED"))
    assert nonzero_counts(reply) == {"unchanged": 1, "failed": 1, "unknown": 1}
    assert count_rows(service.ledger, "images") == 0


def test_offers_of_a_file_are_the_same_after_a_rebuild(partner: Caller, service: Service) -> None:
    send_file(partner, with_image("A", PNG), with_image("B", OTHER_PNG))
    send_file(partner, with_image("A", OTHER_PNG), with_image("B", OTHER_PNG, "DELETED"))
    before = [(text_of(partner, offer), history_of(partner, offer=offer)) for offer in ("A", "B")]
    rebuild(service.ledger)
    assert [(text_of(partner, offer), history_of(partner, offer=offer)) for offer in ("A", "B")] == before
    assert verification.verify(service.ledger) == []
    assert outcomes(send_file(partner, with_image("A", OTHER_PNG), name=NEXT_DAY)) == {"unchanged": ["A"]}


@pytest.mark.parametrize("settings", [{"max_image_bytes": 5_000, "max_offer_bytes": 6_000}], indirect=True)
def test_image_that_is_too_large_fails_its_record_alone(partner: Caller, service: Service) -> None:
    reply = send_file(partner, with_image("A", "A" * 5_000), with_image("B", "A" * 5_001), record("C"))
    assert outcomes(reply) == {"created": ["A", "C"], "failed": ["B"]}
    message = "must have at most 5000 characters (OFFER_LEDGER_MAX_IMAGE_BYTES)"
    assert messages(reply) == {"B": [f"assets.logo.value.large.content: {message}"]}
    assert count_rows(service.ledger, "images") == 2


def test_record_may_have_two_images_of_the_largest_size(partner: Caller) -> None:
    sent = record("A")
    for asset, letter in (("logo", "A"), ("largeRectangle", "B")):
        sent["assets"][asset]["value"]["large"] = {"content": letter * (3 * MEBIBYTE - 4)}
    assert outcome_and_version(partner, put(partner, content(sent), offer="A")) == ("created", 1)
    assert outcomes(send_file(partner, sent, record("B"))) == {"created": ["B"], "unchanged": ["A"]}


# Warnings


RECORD_WITH_WARNINGS = SEED_SAMPLE | {"offerStatus": "UPSERT"}
WARNED_FIELDS = ["assets.logo.value.large.url", "assets.largeRectangle.value.large.content"]


def test_warnings_of_a_record_are_reported_every_time(partner: Caller) -> None:
    names = ("TidepoolOffers20261122.json", "TidepoolOffers20261123.json", "TidepoolOffers20261124.json")
    replies = [send_file(partner, RECORD_WITH_WARNINGS, name=name) for name in names]
    assert [nonzero_counts(reply) for reply in replies] == [{"created": 1}, {"unchanged": 1}, {"unchanged": 1}]
    for reply in replies:
        (warnings,) = messages(reply).values()
        assert [warning.partition(":")[0] for warning in warnings] == WARNED_FIELDS
        assert "google" not in reply.text
    assert offer_of(partner, "2121", "323232")["content"] == SEED_SAMPLE


def test_record_has_the_same_warnings_as_a_put(partner: Caller) -> None:
    warnings = trace_of(partner, put(partner, SEED_SAMPLE, "2121", "323232"))["warnings"]
    reply = send_file(partner, SEED_SAMPLE | {"offerStatus": "NEW"})
    assert messages(reply) == {"323232": ["offerStatus: NEW, but the offer is known; treated as UPSERT", *warnings]}


def test_corrected_record_has_no_warnings(partner: Caller) -> None:
    send_file(partner, RECORD_WITH_WARNINGS)
    corrected = RECORD_WITH_WARNINGS | {"assets": record("A")["assets"]}
    reply = send_file(partner, corrected, name=NEXT_DAY)
    assert (nonzero_counts(reply), messages(reply)) == ({"updated": 1}, {})
    assert IMAGE_URL in str(offer_of(partner, "2121", "323232"))
