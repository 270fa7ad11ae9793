"""`offer-ledger inventory` lists the same offers as HTTP, filtered and in pages."""

from typing import Any

import pytest

from api.service import Service
from tests.support.examples import DELETED, PARTNER
from tests.support.harness import Caller
from tests.support.processes.shell import (
    Run,
    WriteBatch,
    record_merchant_offer,
    require_success,
    require_usage_error,
    require_usage_sentence,
)

COLUMNS = ["offerUid", "partner", "channel", "merchantId", "externalId", "status", "version", "updated", "honoured"]
FILTERS: list[tuple[list[str], dict[str, Any], list[str]]] = [
    ([], {}, ["TP-1", "TP-2", "TP-1", "M-1", "M-2"]),
    (["--partner", "seagrass"], {"partner": "seagrass"}, ["TP-1"]),
    (["--channel", "custom"], {"channel": "custom"}, ["TP-1", "TP-2", "TP-1"]),
    (["--channel", "merchant"], {"channel": "merchant"}, ["M-1", "M-2"]),
    (["--merchant-id", "shop"], {"merchantId": "shop"}, ["M-1"]),
    (["--external-id", "TP-1"], {"externalId": "TP-1"}, ["TP-1", "TP-1"]),
    (["--status", "active"], {"status": "active"}, ["TP-1", "TP-1", "M-1"]),
    (["--status", "paused"], {"status": "paused"}, ["TP-2"]),
    (["--status", "deleted"], {"status": "deleted"}, ["M-2"]),
    (["-q", "tp-"], {"q": "tp-"}, ["TP-1", "TP-2", "TP-1"]),
    (["-q", "OPEN A"], {"q": "OPEN A"}, ["TP-1", "TP-2", "TP-1", "M-1", "M-2"]),
    (["-q", "%"], {"q": "%"}, []),
    (["--partner", PARTNER, "--status", "active", "-q", "tp"], {"partner": PARTNER, "status": "active", "q": "tp"},
     ["TP-1"]),
    (["--limit", "2"], {"limit": 2}, ["TP-1", "TP-2"]),
]  # fmt: skip
FILTER_IDS = [" ".join(options) or "all" for options, _, _ in FILTERS]


@pytest.fixture
def stocked(service: Service, run: Run, write_batch: WriteBatch) -> Run:
    """Returns `run` on a ledger with offers of two partners, on both channels, in all states."""
    require_success(run("partners", "set", "seagrass"))
    require_success(run("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    require_success(run("import", write_batch("Insert", ["TP-1"]), "--partner", "seagrass"))
    require_success(run("import", write_batch("Synchronize", ["TP-1"]), "--partner", PARTNER))
    record_merchant_offer(service, "shop", "M-1")
    record_merchant_offer(service, "store", "M-2", DELETED)
    return run


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines() if not line.startswith("There are more rows")]


@pytest.mark.parametrize(("options", "_parameters", "expected"), FILTERS, ids=FILTER_IDS)
def test_filters_select_the_listed_offers(
    stocked: Run, options: list[str], _parameters: dict[str, Any], expected: list[str]
) -> None:
    listed = stocked("inventory", *options, "--json").json["items"]
    assert [offer["externalId"] for offer in listed] == expected


@pytest.mark.parametrize(("options", "parameters", "_expected"), FILTERS, ids=FILTER_IDS)
def test_json_equals_the_http_reply(
    stocked: Run, auditor: Caller, options: list[str], parameters: dict[str, Any], _expected: list[str]
) -> None:
    assert stocked("inventory", *options, "--json").json == auditor.get("/api/v1/offers", **parameters).json()


def test_json_of_an_empty_ledger_equals_the_http_reply(run: Run, auditor: Caller) -> None:
    assert run("inventory", "--json").json == auditor.get("/api/v1/offers").json()


def test_json_of_a_ledger_without_events_has_no_time(run: Run) -> None:
    assert run("inventory", "--json").json == {"items": [], "nextCursor": None, "position": 0, "asOf": None}


# Tables


def test_table_has_one_line_for_each_offer(stocked: Run) -> None:
    header, *lines = rows(require_success(stocked("inventory", "--partner", PARTNER, "--channel", "custom")))
    assert header == COLUMNS
    assert [(line[1], line[3], line[4], line[5]) for line in lines] == [
        (PARTNER, "TP-1", "active", "1"),
        (PARTNER, "TP-2", "paused", "2"),
    ]


def test_table_shows_the_merchant_of_an_offer(stocked: Run) -> None:
    _, line = rows(require_success(stocked("inventory", "--merchant-id", "shop")))
    assert line[1:5] == [PARTNER, "merchant", "shop", "M-1"]


def test_empty_result_is_a_sentence(run: Run) -> None:
    assert require_success(run("inventory")) == "No offers match.\n"


# Pages


def test_pages_together_are_the_whole_list(stocked: Run) -> None:
    whole = stocked("inventory", "--json").json["items"]
    page = stocked("inventory", "--limit", 2, "--json").json
    pages = [page]
    while page["nextCursor"]:
        page = stocked("inventory", "--limit", 2, "--cursor", page["nextCursor"], "--json").json
        pages.append(page)
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    assert [offer for page in pages for offer in page["items"]] == whole


def test_incomplete_table_ends_with_the_cursor_of_the_next_page(stocked: Run) -> None:
    *_, last = require_success(stocked("inventory", "--limit", 4)).splitlines()
    assert last.startswith("There are more rows. Next page: --cursor ")
    _, line = rows(require_success(stocked("inventory", "--limit", 4, *last.split()[-2:])))
    assert line[4] == "M-2"


def test_complete_table_has_no_cursor(stocked: Run) -> None:
    assert "--cursor" not in require_success(stocked("inventory", "--limit", 5))


def test_cursor_is_valid_over_http_too(stocked: Run, auditor: Caller) -> None:
    cursor = stocked("inventory", "--limit", 2, "--json").json["nextCursor"]
    following = auditor.get("/api/v1/offers", limit=2, cursor=cursor).json()
    assert stocked("inventory", "--limit", 2, "--cursor", cursor, "--json").json == following


@pytest.mark.parametrize("cursor", ["x", "", "!", "é", "AAAA"])
def test_invalid_cursor_is_a_usage_error_that_names_the_option(stocked: Run, cursor: str) -> None:
    require_usage_error(stocked("inventory", "--cursor", cursor), "--cursor")


def test_cursor_of_other_filters_is_a_usage_error(stocked: Run) -> None:
    cursor = stocked("inventory", "--limit", 2, "--json").json["nextCursor"]
    require_usage_error(stocked("inventory", "--status", "active", "--cursor", cursor), "--cursor")


# Past states


def test_past_inventory_equals_the_http_reply(stocked: Run, auditor: Caller) -> None:
    position = stocked("inventory", "--json").json["position"] - 2
    by_http = auditor.get("/api/v1/offers", asOfPosition=position).json()
    assert stocked("inventory", "--as-of", position, "--json").json == by_http
    assert stocked("inventory", "--as-of", by_http["asOf"], "--json").json["items"]
    assert require_success(stocked("inventory", "--as-of", 0)) == "As of position 0.\nNo offers match.\n"
    assert stocked("inventory", "--as-of", position).stdout.startswith(f"As of position {position}, recorded at ")


def test_past_inventory_has_pages(stocked: Run) -> None:
    position = stocked("inventory", "--json").json["position"]
    page = stocked("inventory", "--as-of", position, "--limit", 3, "--json").json
    following = stocked("inventory", "--as-of", position, "--limit", 3, "--cursor", page["nextCursor"], "--json").json
    assert [len(page["items"]), len(following["items"]), following["nextCursor"]] == [3, 2, None]
    require_usage_sentence(stocked("inventory", "--cursor", page["nextCursor"]), "--cursor")
