"""A merchant offer is returned as it was sent, and each image is stored once."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from api.service import Service
from api.settings import Settings
from projections.maintenance import verification
from projections.maintenance.rebuild import rebuild
from tests.support.calls.merchants import (
    OTHER_PNG,
    PNG,
    SEED_SAMPLE,
    delete,
    history_of,
    merchant_offer,
    offer_of,
    outcome_and_version,
    position,
    put,
    uid_of,
    used_quota,
)
from tests.support.harness import Caller

pytestmark = pytest.mark.usefixtures("no_rate_limit")

MEBIBYTE = 1024 * 1024


def images(service: Service) -> int:
    with service.ledger.recorder.read() as tx:
        return int(tx.execute("SELECT count(*) FROM images").fetchone()[0])


def text_of(caller: Caller) -> bytes:
    """Returns the text of an offer in the reply of the service."""
    return caller.get(f"/api/v1/offers/{uid_of()}").content


def placeholder(image: str) -> dict[str, str]:
    """Returns an object like the one that the ledger stores instead of an image."""
    return {"imageDigest": hashlib.sha256(json.dumps(image).encode()).hexdigest()}


# Content


def test_content_is_returned_byte_for_byte(partner: Caller, subtests: pytest.Subtests) -> None:
    plain = json.dumps(merchant_offer(note="HERE"), ensure_ascii=False)
    texts = {
        "white space": json.dumps(merchant_offer(), indent=4),
        "numbers": plain.replace('"HERE"', "[1.0, 1e2, -0.0, 0.000001, 9007199254740991]"),
        "escapes": plain.replace("HERE", r"\u0041\/\"\\\n"),
        "beyond ASCII": plain.replace("HERE", "áé 商店 😀 \u2028"),
        "an image with escapes": plain.replace(PNG, PNG.replace("/", r"\/")),
        "null members": plain[:-1] + ', "gone": null}',
    }
    for name, text in texts.items():
        with subtests.test(name):
            assert put(partner, text.encode()).status_code == 202
            delete(partner)
            assert text.encode() in text_of(partner)


def test_unknown_members_are_stored(partner: Caller) -> None:
    sent = merchant_offer(terms={"minimum": "10.00", "days": [1, 2, {"x": None}]}, x=True)
    sent["assets"]["video"] = {"type": "VIDEO"}
    sent["assets"]["logo"]["alt"] = "Logo"
    put(partner, sent)
    assert offer_of(partner)["content"] == sent


@pytest.mark.parametrize("image", [PNG, PNG.partition(",")[2], "<BASE_64_ENCODED_STRING>", "x", "😀" * 500])
def test_image_is_returned_as_sent(partner: Caller, image: str) -> None:
    put(partner, merchant_offer(image=image))
    assert offer_of(partner)["content"] == merchant_offer(image=image)
    assert history_of(partner)[0]["changes"][-1] == {
        "field": "/content",
        "before": None,
        "after": merchant_offer(image=image),
    }


def test_object_like_an_image_placeholder_is_returned_as_sent(partner: Caller, subtests: pytest.Subtests) -> None:
    """Also if the offer has the image of the placeholder, and if another offer has stored this image."""
    put(partner, merchant_offer(offer="other"), offer="other")
    contents = {
        "another image's": merchant_offer(note=placeholder(OTHER_PNG)),
        "its own image's": merchant_offer(note=placeholder(PNG)),
        "without an image": SEED_SAMPLE | merchant_offer(image="short", note=placeholder(PNG)),
        "as text": merchant_offer(note=json.dumps(placeholder(PNG))),
    }
    for name, sent in contents.items():
        for text in (json.dumps(sent), json.dumps(sent, separators=(",", ":"))):
            with subtests.test(name):
                assert put(partner, text.encode()).status_code == 202
                delete(partner)
                assert text.encode() in text_of(partner)


# Storage


def test_image_is_stored_once_for_all_offers(partner: Caller, service: Service) -> None:
    names = [f"OFR-{n}" for n in range(12)]
    for name in names:
        assert outcome_and_version(partner, put(partner, offer=name)) == ("created", 1)
    assert images(service) == 1
    assert {str(offer_of(partner, offer=name)["content"]["assets"]["logo"]["value"]) for name in names} == {
        str({"large": {"content": PNG}})
    }
    put(partner, merchant_offer(image=OTHER_PNG))
    assert images(service) == 2


def test_event_contains_no_image(partner: Caller, service: Service) -> None:
    put(partner)
    with service.ledger.recorder.read() as tx:
        (state,) = tx.execute("SELECT state FROM events WHERE topic = 'OfferCreated'").fetchone()
    assert PNG.encode() not in bytes(state)


def test_image_of_a_refused_or_unchanged_put_is_not_stored(partner: Caller, service: Service) -> None:
    put(partner, merchant_offer(offerName="", image=OTHER_PNG))
    assert images(service) == 0
    text = json.dumps(merchant_offer())
    put(partner, text.encode())
    put(partner, text.replace("/", r"\/").encode())
    assert images(service) == 1


def test_images_survive_an_update_a_restoration_and_a_rebuild(partner: Caller, service: Service) -> None:
    contents = [merchant_offer(), merchant_offer(image=OTHER_PNG), merchant_offer(offerName="Back")]
    put(partner, contents[0])
    put(partner, contents[1])
    assert offer_of(partner)["content"] == contents[1]
    delete(partner)
    put(partner, contents[2])
    before = (text_of(partner), history_of(partner))
    assert offer_of(partner)["content"] == contents[2]
    field = "/content/assets/logo/value/large/content"
    changes = [[c for c in event["changes"] if c["field"] == field] for event in before[1]]
    assert changes[1] == [{"field": field, "before": PNG, "after": OTHER_PNG}]
    assert changes[3] == [{"field": field, "before": OTHER_PNG, "after": PNG}]
    rebuild(service.ledger)
    assert (text_of(partner), history_of(partner)) == before
    assert verification.verify(service.ledger) == []


# Sizes


class TestLimits:
    MAX_OFFER_BYTES = 8_000
    MAX_IMAGE_BYTES = 5_000

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(
            database_url=f"sqlite:///{tmp_path}/ledger.db",
            max_offer_bytes=self.MAX_OFFER_BYTES,
            max_image_bytes=self.MAX_IMAGE_BYTES,
        )

    def test_body_at_the_limit_is_accepted_and_larger_is_413(self, partner: Caller) -> None:
        text = json.dumps(merchant_offer()).encode()
        assert put(partner, text.ljust(self.MAX_OFFER_BYTES)).status_code == 202
        before = position(partner), used_quota(partner)
        reply = put(partner, text.replace(b"Juniper", b"Laurel").ljust(self.MAX_OFFER_BYTES + 1))
        assert (reply.status_code, reply.json()["type"]) == (413, "content-too-large")
        assert (position(partner), used_quota(partner)) == (before[0], before[1] + 1)

    def test_image_at_the_limit_is_accepted_and_larger_is_refused(self, partner: Caller, service: Service) -> None:
        largest = "A" * self.MAX_IMAGE_BYTES
        assert outcome_and_version(partner, put(partner, merchant_offer(image=largest))) == ("created", 1)
        reply = put(partner, merchant_offer(image=f"{largest}A"))
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/assets/logo/value/large/content")
        assert offer_of(partner)["content"] == merchant_offer(image=largest)
        assert images(service) == 1

    def test_image_that_stays_in_the_text_has_the_same_limit(self, partner: Caller) -> None:
        sent = merchant_offer(image="A" * (self.MAX_IMAGE_BYTES + 1))
        sent["note"] = placeholder(sent["assets"]["logo"]["value"]["large"]["content"])
        assert put(partner, json.dumps(sent, separators=(",", ":")).encode()).status_code == 400


def two_large_images() -> dict[str, Any]:
    sent = merchant_offer(image="A" * (3 * MEBIBYTE - 4))
    sent["assets"]["largeRectangle"]["value"]["large"] = {"content": "B" * (3 * MEBIBYTE - 4)}
    return sent


@pytest.mark.parametrize("colon", [":", ": ", " : "])
def test_two_largest_images_are_accepted_in_any_spelling(partner: Caller, colon: str) -> None:
    text = json.dumps(two_large_images(), separators=(",", colon))
    assert outcome_and_version(partner, put(partner, text.encode())) == ("created", 1)
    assert text.encode() in text_of(partner)
