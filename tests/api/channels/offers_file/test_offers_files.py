"""What does an offers file do, situation by situation, and what is its sender told? (contract, section 4)"""

from typing import Any

import httpx2
import pytest

from api.channels.offers_file_schemas import OffersFileReply
from api.service import Service
from domain.runs.run import OUTCOMES
from domain.values import MissingFromFile
from tests.support.calls.merchants import MERCHANT, delete, history_of, limit, offer_of, position, put
from tests.support.calls.offers_files import (
    NAME,
    completed_report,
    content,
    inventory,
    messages,
    nonzero_counts,
    offers_file,
    outcomes,
    record,
    send_file,
    send_form,
    send_json,
    set_missing_from_file,
)
from tests.support.examples import PARTNER, body
from tests.support.harness import Call, Caller, MakeToken

MOMENT = "2026-11-22T12:30:00.000000Z"
MISSING = "active, but missing from the file"
OTHERS_NAME = "name: does not start with the partner's name"
OTHER_DATE = "header.fileCreationDate: differs from the date in the file name, which is used instead"
NOTHING_DELETED = "No missing offer has been deleted"


@pytest.fixture(autouse=True)
def _unhurried(service: Service) -> None:
    limit(service)


@pytest.fixture
def harbor(call: Call, token: MakeToken) -> Caller:
    """Another partner."""
    return call(token(partner="harbor"))


@pytest.fixture
def known(partner: Caller) -> Caller:
    """A partner whose offers ACTIVE and DELETED are that, as their records say them."""
    for name in ("ACTIVE", "DELETED"):
        assert put(partner, content(record(name)), offer=name).status_code == 202
    assert delete(partner, offer="DELETED").status_code == 202
    return partner


def changed(offer: str, status: str = "UPSERT") -> dict[str, Any]:
    return record(offer, status, offerName="Another name")


# The two ways, and the report


def test_a_file_as_a_form_and_as_json_is_the_same_run(partner: Caller) -> None:
    text = body(offers_file(record("A"), record("B", offerName="")))
    first, again = send_form(partner, text), send_json(partner, text)
    assert (again.status_code, again.content) == (200, first.content)
    assert [one.headers.get("Idempotency-Replayed") for one in (first, again)] == [None, "true"]


def test_a_file_as_a_form_is_told_and_does_what_it_does_as_json(partner: Caller, harbor: Caller) -> None:
    document = offers_file(record("A"), record("B", offerName=""), record("C", "DELETED"), fileCreationDate="?")
    reports = [completed_report(send_json(partner, document, "DayOffers20261122.json"))]
    reports.append(completed_report(send_form(harbor, document, "DayOffers20261122.json")))
    for report in reports:
        assert [report.pop(name) for name in ("runId", "partner", "actor", "position")]
    assert reports[0] == reports[1]
    assert inventory(partner) == inventory(harbor) == {"A": ("active", 1)}


def test_the_report_tells_everything_of_the_run_and_each_record(known: Caller) -> None:
    reply = send_file(known, record("NEW", "NEW"), record("BAD", assets={}))
    report = completed_report(reply)
    assert reply.headers["Content-Type"] == "application/json"
    assert report == {
        "runId": report["runId"],
        "partner": PARTNER,
        "channel": "merchant",
        "operation": None,
        "concurrencyRequestId": None,
        "fileName": NAME,
        "source": "file",
        "actor": f"partner-{PARTNER}",
        "state": "completed",
        "acceptedAt": MOMENT,
        "finishedAt": MOMENT,
        "counts": dict.fromkeys(OUTCOMES, 0) | {"created": 1, "discrepancy": 1, "failed": 1},
        "messages": [],
        "position": position(known),
        "problem": None,
        "records": [
            told("NEW", "created"),
            told("ACTIVE", "discrepancy", MISSING),
            told("BAD", "failed", "assets.logo: required", "assets.largeRectangle: required"),
        ],
    }
    OffersFileReply.model_validate(report)


def told(offer: str | None, outcome: str, *said: str, merchant: str | None = MERCHANT) -> dict[str, Any]:
    return {"merchantId": merchant, "externalId": offer, "outcome": outcome, "messages": list(said)}


def test_records_are_told_by_what_became_of_them_then_as_they_were_sent(partner: Caller) -> None:
    reply = send_file(partner, record("F-1", x=2**60), record("B"), record("A"), record("F-2", x=2**60))
    assert outcomes(reply) == {"created": ["B", "A"], "failed": ["F-1", "F-2"]}


# What each status does


UNKNOWN = "but the offer is unknown; treated as UPSERT"
GONE = "but the offer is deleted; treated as UPSERT"
KNOWN = "offerStatus: NEW, but the offer is known; treated as UPSERT"
KEPT = "offerStatus: NO-CHANGE, but the content differs; the stored content is kept"
SITUATIONS: list[tuple[dict[str, Any], str, tuple[str, int] | None, list[str]]] = [
    (record("FRESH", "NEW"), "created", ("active", 1), []),
    (record("FRESH", "UPSERT"), "created", ("active", 1), []),
    (record("FRESH", "UPDATED"), "created", ("active", 1), [f"offerStatus: UPDATED, {UNKNOWN}"]),
    (record("FRESH", "NO-CHANGE"), "created", ("active", 1), [f"offerStatus: NO-CHANGE, {UNKNOWN}"]),
    (record("FRESH", "DELETED"), "unknown", None, ["offerStatus: DELETED, but the offer is unknown"]),
    (record("ACTIVE", "NEW"), "unchanged", ("active", 1), [KNOWN]),
    (record("ACTIVE", "UPSERT"), "unchanged", ("active", 1), []),
    (record("ACTIVE", "UPDATED"), "unchanged", ("active", 1), []),
    (record("ACTIVE", "NO-CHANGE"), "unchanged", ("active", 1), []),
    (record("ACTIVE", "DELETED"), "deleted", ("deleted", 2), []),
    (changed("ACTIVE", "NEW"), "updated", ("active", 2), [KNOWN]),
    (changed("ACTIVE", "UPSERT"), "updated", ("active", 2), []),
    (changed("ACTIVE", "UPDATED"), "updated", ("active", 2), []),
    (changed("ACTIVE", "NO-CHANGE"), "unchanged", ("active", 1), [KEPT]),
    (record("DELETED", "NEW"), "restored", ("active", 3), [KNOWN]),
    (record("DELETED", "UPSERT"), "restored", ("active", 3), []),
    (record("DELETED", "UPDATED"), "restored", ("active", 3), []),
    (record("DELETED", "NO-CHANGE"), "restored", ("active", 3), [f"offerStatus: NO-CHANGE, {GONE}"]),
    (record("DELETED", "DELETED"), "unchanged", ("deleted", 2), []),
]


@pytest.mark.parametrize(
    ("sent", "outcome", "found", "said"),
    SITUATIONS,
    ids=lambda value: f"{value['offerStatus']} on {value['offerId']}" if isinstance(value, dict) else "",
)
def test_a_record_is_carried_out_as_its_status_and_the_ledger_say(
    known: Caller, sent: dict[str, Any], outcome: str, found: tuple[str, int] | None, said: list[str]
) -> None:
    offer = sent["offerId"]
    before = inventory(known)
    reply = send_file(known, sent)
    assert told(offer, outcome, *said) in completed_report(reply)["records"]
    assert nonzero_counts(reply) == {outcome: 1} | ({} if offer == "ACTIVE" else {"discrepancy": 1})
    assert inventory(known) == before | ({offer: found} if found else {})
    if outcome in {"created", "updated", "restored"}:
        assert offer_of(known, offer=offer)["content"] == content(sent)


def test_no_change_keeps_the_content_that_is_stored(known: Caller) -> None:
    before = offer_of(known, offer="ACTIVE")
    assert messages(send_file(known, changed("ACTIVE", "NO-CHANGE"))) == {"ACTIVE": [KEPT]}
    assert offer_of(known, offer="ACTIVE") == before


def test_a_deleted_record_needs_its_two_ids_only(known: Caller) -> None:
    bare = {"offerStatus": "DELETED", "offerId": "ACTIVE", "merchantId": MERCHANT}
    assert outcomes(send_file(known, bare, bare | {"offerId": "DELETED", "assets": 5})) == {
        "deleted": ["ACTIVE"],
        "unchanged": ["DELETED"],
    }


def test_the_same_offer_id_at_two_merchants_is_two_offers(partner: Caller) -> None:
    reply = send_file(partner, record("A"), record("A", merchantId="MER-311"))
    assert [(one["merchantId"], one["outcome"]) for one in completed_report(reply)["records"]] == [
        (MERCHANT, "created"),
        ("MER-311", "created"),
    ]


# Offers that no record names


def missing_from(caller: Caller) -> httpx2.Response:
    """A file that names one of three offers."""
    for name in ("A", "B", "C"):
        put(caller, content(record(name)), offer=name)
    delete(caller, offer="C")
    return send_file(caller, record("A"))


def test_an_active_offer_missing_from_the_file_is_left_alone_and_listed(partner: Caller) -> None:
    reply = missing_from(partner)
    assert (nonzero_counts(reply), messages(reply)) == ({"unchanged": 1, "discrepancy": 1}, {"B": [MISSING]})
    assert inventory(partner) == {"A": ("active", 1), "B": ("active", 1), "C": ("deleted", 2)}


def test_or_deleted_where_that_is_set_for_the_partner(partner: Caller, service: Service) -> None:
    set_missing_from_file(service, MissingFromFile.DELETE)
    reply = missing_from(partner)
    assert (nonzero_counts(reply), messages(reply)) == ({"unchanged": 1, "deleted": 1}, {"B": [MISSING]})
    assert inventory(partner) == {"A": ("active", 1), "B": ("deleted", 2), "C": ("deleted", 2)}
    last = history_of(partner, offer="B")[-1]
    assert (last["type"], last["cause"], last["source"]) == ("OfferDeleted", "absent-from-file", "file")
    assert last["runId"] == reply.json()["runId"]


def test_an_offer_whose_record_fails_is_not_missing(known: Caller, service: Service) -> None:
    set_missing_from_file(service, MissingFromFile.DELETE)
    assert nonzero_counts(send_file(known, record("ACTIVE", offerName=""), record("B"))) == {"created": 1, "failed": 1}
    assert inventory(known)["ACTIVE"] == ("active", 1)


@pytest.mark.parametrize(
    "records", [[], [record("F", offerName="")], [record("B"), {"offerStatus": "NEW"}], [record("B"), 5]]
)
def test_a_file_that_can_not_be_believed_deletes_nothing_for_being_missing(
    known: Caller, service: Service, records: list[Any]
) -> None:
    set_missing_from_file(service, MissingFromFile.DELETE)
    reply = send_file(known, *records)
    assert nonzero_counts(reply)["discrepancy"] == 1
    assert [said.partition(":")[0] for said in completed_report(reply)["messages"]] == [NOTHING_DELETED]
    assert inventory(known)["ACTIVE"] == ("active", 1)


# What is odd about the whole


@pytest.mark.parametrize(
    ("name", "header", "said"),
    [
        (NAME, {}, []),
        (NAME, {"fileCreationDate": "20261122"}, []),
        (NAME, {"fileCreationDate": "2026-11-22T06:00:00Z"}, []),
        (NAME, {"offerRecordCount": 1.0}, []),
        (NAME, {"fileCreationDate": "2026-11-21"}, [OTHER_DATE]),
        (NAME, {"fileCreationDate": "tonight"}, [OTHER_DATE]),
        (NAME, {"fileCreationDate": None}, [OTHER_DATE]),
        ("TIDE-POOLOffers20261122.json", {}, []),
        ("HarborOffers20261122.json", {}, [OTHERS_NAME]),
        ("HarborOffers20261123.json", {}, [OTHER_DATE, OTHERS_NAME]),
        (NAME, {"note": 1}, ["note: ignored, not a member of the header"]),
    ],
)
def test_what_does_not_fit_the_name_is_a_warning(
    partner: Caller, name: str, header: dict[str, Any], said: list[str]
) -> None:
    reply = send_json(partner, offers_file(record("A"), **header), name)
    assert (completed_report(reply)["messages"], nonzero_counts(reply)) == (said, {"created": 1})


def test_members_beside_header_and_offers_are_ignored_with_a_warning(partner: Caller) -> None:
    reply = send_json(partner, offers_file(record("A")) | {"trailer": {"checksum": "x"}})
    assert completed_report(reply)["messages"] == ["trailer: ignored, not a member of an offers file"]
