"""On the custom channel, an integer may be sent in quotes. It is kept as sent, with a message (contract, section 2)."""

import json
from typing import Any

import pytest

from api.intake.batch_schemas import CAP_PER_EVENT, OFFER_CAPS
from api.intake.quoted_integers import QUOTED
from tests.support.examples import messages_of_invalid_item, valid_item

EVENT_INTEGERS = (
    "displayOrder",
    "sequenceNumber",
    "minTimeFromPreviousEvent",
    "deadlineDays",
    "pendingTime",
    *OFFER_CAPS,
)
INTEGER = "must be an integer"


def events(*members: dict[str, Any]) -> dict[str, Any]:
    """Returns the changes that make the sample offer a multi-event offer with these members."""
    return {
        "dailyCap": None,
        "offerEvents": [{"eventId": str(number), "name": "Sign up", **more} for number, more in enumerate(members)],
    }


@pytest.mark.parametrize("text", ["1", "10", "9007199254740991"])
@pytest.mark.parametrize("cap", OFFER_CAPS)
def test_quoted_cap_is_kept_as_sent_with_a_message(cap: str, text: str) -> None:
    stored = valid_item(**{cap: text})
    assert json.loads(bytes(stored.content.text))[cap] == text
    assert stored.remarks == (f"offerData[0].{cap}: {QUOTED}",)


@pytest.mark.parametrize("name", EVENT_INTEGERS)
def test_quoted_integer_of_an_event_is_accepted(name: str) -> None:
    assert valid_item(**events({}, {name: "7"})).remarks == (f"offerData[0].offerEvents[1].{name}: {QUOTED}",)


def test_every_quoted_integer_has_a_message() -> None:
    creatives = [{"order": str(order), "url": "https://a.example"} for order in range(2)]
    places = ("creatives[0].order", "creatives[1].order", "dailyCap", "weeklyCap")
    sent = valid_item(creatives=creatives, dailyCap="5", weeklyCap="6")
    assert sent.remarks == tuple(f"offerData[0].{place}: {QUOTED}" for place in places)


def test_item_with_a_quoted_integer_is_parsed_every_time() -> None:
    assert valid_item(dailyCap="10").content.sent_digest is None


def test_quoted_integer_differs_from_the_plain_one() -> None:
    assert valid_item(dailyCap="10").content.digest != valid_item(dailyCap=10).content.digest


@pytest.mark.parametrize(
    "text",
    ["", "ten", "1.0", "1e3", "01", "+1", " 1", "1 ", "1\n", "\u0661", "9007199254740992", "1" * 5000, "true", "0x1"],
)
def test_other_text_is_no_quoted_integer(text: str) -> None:
    assert messages_of_invalid_item(dailyCap=text) == (f"offerData[0].dailyCap: {INTEGER}",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dailyCap": "0"}, "dailyCap: must be at least 1"),
        ({"dailyCap": "-1"}, "dailyCap: must be at least 1"),
        (events({"displayOrder": "-1"}), "offerEvents[0].displayOrder: must be at least 0"),
        ({**events({}), "dailyCap": "5"}, f"dailyCap: {CAP_PER_EVENT}"),
        (
            {"creatives": [{"order": order, "url": "https://a.example"} for order in (1, "1")]},
            "creatives: each order must occur only once",
        ),
        (events({"revenue": "1"}), "offerEvents[0].revenue: must be a number"),
    ],
)
def test_rules_apply_to_quoted_integers(changes: dict[str, Any], message: str) -> None:
    assert messages_of_invalid_item(**changes) == (f"offerData[0].{message}",)


def test_failed_item_reports_its_problems_only() -> None:
    assert messages_of_invalid_item(dailyCap="10", headline="") == ("offerData[0].headline: must not be empty",)
