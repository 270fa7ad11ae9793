"""The parser of a large body never keeps other requests waiting: it runs in a thread, and for a larger one in another process."""

import asyncio
from typing import Any

import pytest

from api.channels import merchant_routes
from api.channels.merchant_routes import SMALL_BODY_BYTES
from api.dependencies.waiting_bodies import SMALL_UPLOAD_BYTES
from api.intake import merchant_offer as intake
from api.intake.merchant_offer import read_offer
from tests.support.calls.merchants import merchant_offer, offer_of, put
from tests.support.harness import Caller

pytestmark = pytest.mark.usefixtures("no_rate_limit")


def test_put_over_1_mib_is_parsed_in_another_process(partner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    # This process cannot parse an offer any more.
    monkeypatch.setattr(intake, "read_document", None)
    note = "x" * SMALL_UPLOAD_BYTES
    assert put(partner, merchant_offer(note=note)).status_code == 202
    assert offer_of(partner)["content"]["note"] == note
    refused = put(partner, merchant_offer(note=note, offerName=""))
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/offerName")


@pytest.mark.parametrize(("size", "is_in_loop"), [(0, True), (SMALL_BODY_BYTES, False)])
def test_put_over_16_kib_is_parsed_in_a_thread(
    partner: Caller, monkeypatch: pytest.MonkeyPatch, size: int, is_in_loop: bool
) -> None:
    seen: list[bool] = []

    def read(*args: Any) -> Any:
        seen.append(asyncio._get_running_loop() is not None)
        return read_offer(*args)

    monkeypatch.setattr(merchant_routes, "read_offer", read)
    assert put(partner, merchant_offer(note="x" * size)).status_code == 202
    assert seen == [is_in_loop]
