"""offer-ledger inventory: the same offers as over HTTP, filtered and paged."""

from typing import Any

import pytest

from api.service import Service
from tests.support.examples import DELETED, PARTNER
from tests.support.harness import Caller
from tests.support.processes.shell import (
    Run,
    WriteBatch,
    record_merchant_offer,
    require_done,
    require_usage_error,
    require_usage_sentence,
)

COLUMNS = ["offerUid", "partner", "channel", "merchantId", "externalId", "status", "version", "updated", "honoured"]
FILTERS: list[tuple[list[str], dict[str, Any], list[str]]] = [
    ([], {}, ["TP-1", "TP-2", "TP-1", "M-1", "M-2"]),
    (["--partner", "seagrass"], {"partner": "seagrass"}, ["TP-1"]),
    (["--partner", "nobody"], {"partner": "nobody"}, []),
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
    """`run`, with offers of two partners, on both channels, in all states."""
    require_done(run("partners", "set", "seagrass"))
    require_done(run("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    require_done(run("import", write_batch("Insert", ["TP-1"]), "--partner", "seagrass"))
    require_done(run("import", write_batch("Synchronize", ["TP-1"]), "--partner", PARTNER))
    record_merchant_offer(service, "shop", "M-1")
    record_merchant_offer(service, "store", "M-2", DELETED)
    return run


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines() if not line.startswith("There are more")]


@pytest.mark.parametrize(("options", "_parameters", "expected"), FILTERS, ids=FILTER_IDS)
def test_filters_choose_the_offers_that_are_listed(
    stocked: Run, options: list[str], _parameters: dict[str, Any], expected: list[str]
) -> None:
    listed = stocked("inventory", *options, "--json").json["items"]
    assert [offer["externalId"] for offer in listed] == expected


@pytest.mark.parametrize(("options", "parameters", "_expected"), FILTERS, ids=FILTER_IDS)
def test_json_is_what_is_answered_over_http(
    stocked: Run, auditor: Caller, options: list[str], parameters: dict[str, Any], _expected: list[str]
) -> None:
    assert stocked("inventory", *options, "--json").json == auditor.get("/api/v1/offers", **parameters).json()


def test_json_of_an_empty_ledger_is_what_is_answered_over_http(run: Run, auditor: Caller) -> None:
    assert run("inventory", "--json").json == auditor.get("/api/v1/offers").json()


def test_json_of_a_ledger_without_a_single_event_has_no_time(run: Run) -> None:
    assert run("inventory", "--json").json == {"items": [], "nextCursor": None, "position": 0, "asOf": None}


# As a table


def test_a_table_has_one_line_for_each_offer(stocked: Run) -> None:
    header, *lines = rows(require_done(stocked("inventory", "--partner", PARTNER, "--channel", "custom")))
    assert header == COLUMNS
    assert [(line[1], line[3], line[4], line[5]) for line in lines] == [
        (PARTNER, "TP-1", "active", "1"),
        (PARTNER, "TP-2", "paused", "2"),
    ]


def test_a_table_shows_the_merchant_where_there_is_one(stocked: Run) -> None:
    _, line = rows(require_done(stocked("inventory", "--merchant-id", "shop")))
    assert line[1:5] == [PARTNER, "merchant", "shop", "M-1"]


def test_an_empty_table_says_so(run: Run) -> None:
    assert require_done(run("inventory")) == "No offers match.\n"


# Page by page


def test_pages_lead_from_one_to_the_next_and_make_the_whole(stocked: Run) -> None:
    whole = stocked("inventory", "--json").json["items"]
    page = stocked("inventory", "--limit", 2, "--json").json
    pages = [page]
    while page["nextCursor"]:
        page = stocked("inventory", "--limit", 2, "--cursor", page["nextCursor"], "--json").json
        pages.append(page)
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    assert [offer for page in pages for offer in page["items"]] == whole


def test_a_table_that_is_not_all_tells_the_cursor_of_the_next_page(stocked: Run) -> None:
    *_, last = require_done(stocked("inventory", "--limit", 4)).splitlines()
    assert last.startswith("There are more: --cursor ")
    _, line = rows(require_done(stocked("inventory", "--limit", 4, *last.split()[-2:])))
    assert line[4] == "M-2"


def test_a_table_that_is_all_tells_no_cursor(stocked: Run) -> None:
    assert "--cursor" not in require_done(stocked("inventory", "--limit", 5))


def test_a_cursor_leads_on_over_http_too(stocked: Run, auditor: Caller) -> None:
    cursor = stocked("inventory", "--limit", 2, "--json").json["nextCursor"]
    following = auditor.get("/api/v1/offers", limit=2, cursor=cursor).json()
    assert stocked("inventory", "--limit", 2, "--cursor", cursor, "--json").json == following


@pytest.mark.parametrize("cursor", ["x", "", "!", "é", "AAAA"])
def test_a_cursor_that_was_never_given_is_a_usage_error_that_names_the_option(stocked: Run, cursor: str) -> None:
    require_usage_error(stocked("inventory", "--cursor", cursor), "--cursor")


def test_a_cursor_of_other_filters_is_a_usage_error_that_names_the_option(stocked: Run) -> None:
    cursor = stocked("inventory", "--limit", 2, "--json").json["nextCursor"]
    require_usage_error(stocked("inventory", "--status", "active", "--cursor", cursor), "--cursor")


# As it was


def test_the_inventory_as_of_a_position_or_a_time_is_that_of_http(stocked: Run, auditor: Caller) -> None:
    position = stocked("inventory", "--json").json["position"] - 2
    by_http = auditor.get("/api/v1/offers", asOfPosition=position).json()
    assert stocked("inventory", "--as-of", position, "--json").json == by_http
    assert stocked("inventory", "--as-of", by_http["asOf"], "--json").json["items"]
    assert require_done(stocked("inventory", "--as-of", 0)) == "As of position 0.\nNo offers match.\n"
    assert require_done(stocked("inventory", "--as-of", position)).startswith(
        f"As of position {position}, recorded at "
    )


def test_pages_of_the_past_lead_from_one_to_the_next(stocked: Run) -> None:
    position = stocked("inventory", "--json").json["position"]
    page = stocked("inventory", "--as-of", position, "--limit", 3, "--json").json
    following = stocked("inventory", "--as-of", position, "--limit", 3, "--cursor", page["nextCursor"], "--json").json
    assert [len(page["items"]), len(following["items"]), following["nextCursor"]] == [3, 2, None]
    require_usage_sentence(stocked("inventory", "--cursor", page["nextCursor"]), "--cursor")
