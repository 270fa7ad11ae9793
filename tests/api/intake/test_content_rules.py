"""Rules for the content of a batch offer, and the messages for invalid content (contract, sections 2 and 3)."""

import hashlib
import json
from typing import Any

import pytest

from api.intake.batch_schemas import CAP_PER_EVENT, OFFER_CAPS
from api.parsing.strict_json import NUMBER_RANGE
from domain.runs.batch_reconciliation import InvalidItem, ValidItem
from tests.support.examples import item, offer_data, valid_item, validated_item

REQUIRED_TEXTS = ("trackingSystem", "name", "headline", "offerDetails")
NULLABLE_TEXTS = ("advertiserCampaignName", "shortDescription", "keyPoints", "termsAndDisclaimers")
NULLABLE = (*NULLABLE_TEXTS, "creativeFileExternalUrl")
EVENT_COUNTS = ("displayOrder", "minTimeFromPreviousEvent", "deadlineDays", "pendingTime")
EVENT_AMOUNTS = ("revenue", "reward")
EVENT_FLAGS = ("showOnOfferWall", "useDefaultRatio", "allowRepetitions")
EVENT_OPTIONAL = (*EVENT_COUNTS, *EVENT_AMOUNTS, *EVENT_FLAGS, *OFFER_CAPS, "sequenceNumber")

EMPTY = "must not be empty"
STRING, INTEGER, NUMBER = "must be a string", "must be an integer", "must be a number"
FLAG, ARRAY, OBJECT = "must be true or false", "must be an array", "must be an object"
URL = "must be an absolute http or https URL"


def content(**changes: Any) -> dict[str, Any]:
    """Returns the stored content of a valid offer with these changes."""
    stored: dict[str, Any] = json.loads(bytes(valid_item(**changes).content.text))
    return stored


def messages(**changes: Any) -> list[str]:
    """Returns the messages for an invalid offer with these changes, without the leading `offerData[0].`."""
    validated = validated_item(item(**changes))
    assert isinstance(validated, InvalidItem), validated
    assert validated.external_id == "TP-1"
    return [message.removeprefix("offerData[0].") for message in validated.messages]


def event(**changes: Any) -> dict[str, Any]:
    return {"eventId": "e1", "name": "Sign up", **changes}


def multi_event(*events: Any, **changes: Any) -> dict[str, Any]:
    """Returns the changes that make the sample offer a multi-event offer."""
    return {"dailyCap": None, "offerEvents": list(events), **changes}


# Fields of the offer


@pytest.mark.parametrize("name", [*REQUIRED_TEXTS, *NULLABLE, "offerLink", "creatives"])
def test_required_member_must_be_present(name: str) -> None:
    sent = item()
    del sent["offerData"][0][name]
    assert validated_item(sent) == InvalidItem(
        "TP-1", (f"offerData[0].{name}: required",), hashlib.sha256(json.dumps(sent).encode()).hexdigest()
    )


@pytest.mark.parametrize("name", [*OFFER_CAPS, "offerEvents"])
def test_optional_member_may_be_null_or_absent(name: str) -> None:
    sent = item(**{name: None})
    assert isinstance(validated_item(sent), ValidItem)
    del sent["offerData"][0][name]
    assert isinstance(validated_item(sent), ValidItem)


@pytest.mark.parametrize("name", NULLABLE)
def test_nullable_field_may_be_null(name: str) -> None:
    assert content(**{name: None})[name] is None


@pytest.mark.parametrize(
    ("name", "message"), [*((name, STRING) for name in (*REQUIRED_TEXTS, "offerLink")), ("creatives", ARRAY)]
)
def test_other_fields_must_not_be_null(name: str, message: str) -> None:
    assert messages(**{name: None}) == [f"{name}: {message}"]


@pytest.mark.parametrize("value", [1, True, [], {}])
@pytest.mark.parametrize("name", [*REQUIRED_TEXTS, *NULLABLE, "offerLink"])
def test_text_must_be_a_string(name: str, value: Any) -> None:
    assert messages(**{name: value}) == [f"{name}: {STRING}"]


@pytest.mark.parametrize("name", REQUIRED_TEXTS)
def test_required_text_must_not_be_empty(name: str) -> None:
    assert messages(**{name: ""}) == [f"{name}: {EMPTY}"]


@pytest.mark.parametrize("name", NULLABLE_TEXTS)
def test_nullable_text_may_be_empty(name: str) -> None:
    assert content(**{name: ""})[name] == ""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *((value, INTEGER) for value in ("ten", True, 1.5, [1])),
        *((value, "must be at least 1") for value in (0, -1)),
        (2**53, NUMBER_RANGE),
    ],
)
@pytest.mark.parametrize("cap", OFFER_CAPS)
def test_cap_must_be_an_integer_of_at_least_1(cap: str, value: Any, message: str) -> None:
    assert messages(**{cap: value}) == [f"{cap}: {message}"]
    assert messages(**multi_event(event(**{cap: value}))) == [f"offerEvents[0].{cap}: {message}"]


@pytest.mark.parametrize(("sent", "stored"), [(1, "1"), (10.0, "10.0"), (2**53 - 1, "9007199254740991")])
def test_integer_may_be_written_as_a_decimal(sent: float, stored: str) -> None:
    assert repr(content(dailyCap=sent)["dailyCap"]) == stored


# URLs


def url_messages(url: str) -> list[str]:
    return messages(offerLink=url, creativeFileExternalUrl=url, creatives=[{"order": 0, "url": url}])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/x",
        "/offers/1",
        "//cdn.example/x",
        "ftp://files.example/x",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "mailto:a@b.example",
        "https:/one.example",
        "https://",
        "https:///x",
        "https://?q=1",
        "https://:80/x",
        " https://a.example",
        "https://a.example\n",
        "https://a.example/b c",
        "https://a.example/\tb",
        "xhttps://a.example",
    ],
)
def test_url_must_be_absolute_http_or_https(url: str) -> None:
    fields = ("offerLink", "creativeFileExternalUrl", "creatives[0].url")
    assert url_messages(url) == [f"{field}: {URL}" for field in fields]


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "HTTPS://A.Example/../B/./?Q=%7b%20#f",
        "https://a.example/c?sub1={gk_click_id}&sub2={gk_user_id}",
        "https://{tracker_host}/c",
        "https://user:word@a.example:8443/",
        "https://bücher.example/ö?ü=ß",
        "http://[::1]:80/",
        "https://a.example/?u=https://b.example/{x}|y",
    ],
)
def test_url_is_kept_as_sent(url: str) -> None:
    stored = content(offerLink=url, creativeFileExternalUrl=url, creatives=[{"order": 0, "url": url}])
    assert [stored["offerLink"], stored["creativeFileExternalUrl"], stored["creatives"][0]["url"]] == [url] * 3


# Creatives


@pytest.mark.parametrize(
    ("creatives", "expected"),
    [
        ({}, [f"creatives: {ARRAY}"]),
        ("x", [f"creatives: {ARRAY}"]),
        ([None], [f"creatives[0]: {OBJECT}"]),
        ([{"url": "https://a.example"}], ["creatives[0].order: required"]),
        ([{"order": 0}], ["creatives[0].url: required"]),
        ([{"order": None, "url": None}], [f"creatives[0].order: {INTEGER}", f"creatives[0].url: {STRING}"]),
        ([{"order": "first", "url": "https://a.example"}], [f"creatives[0].order: {INTEGER}"]),
        ([{"order": True, "url": "https://a.example"}], [f"creatives[0].order: {INTEGER}"]),
        ([{"order": 0.5, "url": "https://a.example"}], [f"creatives[0].order: {INTEGER}"]),
        ([{"order": -1, "url": "https://a.example"}], ["creatives[0].order: must be at least 0"]),
    ],
)
def test_creative_must_have_an_order_and_a_url(creatives: Any, expected: list[str]) -> None:
    assert messages(creatives=creatives) == expected


@pytest.mark.parametrize("repeated", [0, 0.0])
def test_repeated_order_is_refused(repeated: float) -> None:
    creatives = [{"order": order, "url": "https://a.example"} for order in (0, 1, repeated)]
    assert messages(creatives=creatives) == ["creatives: each order must occur only once"]


def test_offer_may_have_no_creatives() -> None:
    assert content(creatives=[])["creatives"] == []


# Events


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ({}, [f"offerEvents: {ARRAY}"]),
        ([1], [f"offerEvents[0]: {OBJECT}"]),
        ([{}], ["offerEvents[0].eventId: required", "offerEvents[0].name: required"]),
        ([event(eventId=None, name=None)], [f"offerEvents[0].eventId: {STRING}", f"offerEvents[0].name: {STRING}"]),
        ([event(eventId=1)], [f"offerEvents[0].eventId: {STRING}"]),
        ([event(), event(eventId="e2"), event()], ["offerEvents: each eventId must occur only once"]),
    ],
)
def test_event_must_have_a_name_and_a_unique_id(events: Any, expected: list[str]) -> None:
    assert messages(dailyCap=None, offerEvents=events) == expected


@pytest.mark.parametrize(
    ("names", "value", "message"),
    [
        (EVENT_COUNTS, -1, "must be at least 0"),
        (EVENT_COUNTS, "one", INTEGER),
        (EVENT_COUNTS, False, INTEGER),
        (EVENT_COUNTS, 0.5, INTEGER),
        (("sequenceNumber",), "one", INTEGER),
        (("sequenceNumber",), 1.5, INTEGER),
        (EVENT_AMOUNTS, -0.01, "must be at least 0"),
        (EVENT_AMOUNTS, "1.5", NUMBER),
        (EVENT_AMOUNTS, True, NUMBER),
        (EVENT_FLAGS, 1, FLAG),
        (EVENT_FLAGS, "true", FLAG),
    ],
)
def test_fields_of_an_event_have_their_types(names: tuple[str, ...], value: Any, message: str) -> None:
    for name in names:
        assert messages(**multi_event(event(**{name: value}))) == [f"offerEvents[0].{name}: {message}"]


@pytest.mark.parametrize(
    "sent",
    [
        event(),
        event(**dict.fromkeys(EVENT_OPTIONAL)),
        event(**dict.fromkeys(EVENT_COUNTS, 0), **dict.fromkeys(EVENT_FLAGS, False), **dict.fromkeys(OFFER_CAPS, 1)),
        event(sequenceNumber=-3, revenue=0, reward=2.5),
    ],
)
def test_valid_event_is_kept_as_sent(sent: dict[str, Any]) -> None:
    assert content(**multi_event(sent))["offerEvents"] == [sent]


@pytest.mark.parametrize("caps", [*((cap,) for cap in OFFER_CAPS), OFFER_CAPS])
def test_multi_event_offer_must_not_have_caps(caps: tuple[str, ...]) -> None:
    assert messages(**multi_event(event(), **dict.fromkeys(caps, 5))) == [f"{cap}: {CAP_PER_EVENT}" for cap in caps]


def test_offer_with_empty_events_may_have_caps() -> None:
    assert content(offerEvents=[], dailyCap=5)["dailyCap"] == 5


# The offer as a whole


def test_unknown_members_are_kept() -> None:
    extra = {"isNew": True, "tags": [{"a": None}]}
    stored = content(**extra, creatives=[{"order": 0, "url": "https://a.example", **extra}])
    assert stored == offer_data(**extra, creatives=[{"order": 0, "url": "https://a.example", **extra}])


def test_every_broken_rule_is_reported() -> None:
    assert messages(name="", dailyCap=0, creatives=[{"order": 0, "url": "x"}]) == [
        f"name: {EMPTY}",
        f"creatives[0].url: {URL}",
        "dailyCap: must be at least 1",
    ]


@pytest.mark.parametrize("name", [*offer_data(), "offerEvents"])
@pytest.mark.parametrize("value", ["s3cret", {"s3cret": "s3cret"}, ["s3cret"], [{"order": "s3cret", "eventId": 5}]])
def test_messages_do_not_contain_sent_values(name: str, value: Any) -> None:
    match validated_item(item(**{name: value})):
        case InvalidItem(messages=found):
            assert "s3cret" not in "".join(found)
        case ValidItem(content=stored):
            assert json.loads(bytes(stored.text))[name] == "s3cret"


@pytest.mark.parametrize("name", OFFER_CAPS)
def test_messages_do_not_contain_sent_numbers(name: str) -> None:
    assert "-987" not in "".join(messages(**{name: -987}) + messages(**{name: -987.5}) + messages(**{name: -(10**987)}))
