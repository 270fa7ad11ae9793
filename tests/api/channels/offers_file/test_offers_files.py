"""The effect of an offers file on the offers, case by case, and its report (contract, section 4)."""

from typing import Any

import httpx2
import pytest

from api.channels.offers_file_schemas import OffersFileReply
from api.service import Service
from domain.access.partner import SetPartner
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
    refusal,
    runs,
    send_file,
    send_form,
    send_json,
    set_missing_from_file,
)
from tests.support.examples import PARTNER, body
from tests.support.harness import OPERATOR, Call, Caller, MakeToken

RECORDED_AT = "2026-11-22T12:30:00.000000Z"
MISSING = "active, but missing from the file"
OTHER_PARTNER_NAME = "name: does not start with the partner's name"
OTHER_DATE = "header.fileCreationDate: differs from the date in the file name, which is used instead"
NOTHING_DELETED = "No missing offer has been deleted"


@pytest.fixture(autouse=True)
def _no_rate_limit(service: Service) -> None:
    limit(service)


@pytest.fixture
def harbor(call: Call, token: MakeToken) -> Caller:
    """Another partner."""
    return call(token(partner="harbor"))


@pytest.fixture
def known(partner: Caller) -> Caller:
    """A partner with an active offer named ACTIVE and a deleted offer named DELETED."""
    for name in ("ACTIVE", "DELETED"):
        assert put(partner, content(record(name)), offer=name).status_code == 202
    assert delete(partner, offer="DELETED").status_code == 202
    return partner


def changed(offer: str, status: str = "UPSERT") -> dict[str, Any]:
    return record(offer, status, offerName="Another name")


# Formats and report


def test_same_file_as_form_and_json_is_one_run(partner: Caller) -> None:
    text = body(offers_file(record("A"), record("B", offerName="")))
    first, repeated = send_form(partner, text), send_json(partner, text)
    assert (repeated.status_code, repeated.content) == (200, first.content)
    assert [reply.headers.get("Idempotency-Replayed") for reply in (first, repeated)] == [None, "true"]


def test_form_and_json_have_the_same_effect_and_report(partner: Caller, harbor: Caller) -> None:
    document = offers_file(record("A"), record("B", offerName=""), record("C", "DELETED"), fileCreationDate="?")
    reports = [completed_report(send_json(partner, document, "DayOffers20261122.json"))]
    reports.append(completed_report(send_form(harbor, document, "DayOffers20261122.json")))
    for report in reports:
        assert [report.pop(name) for name in ("runId", "partner", "actor", "position")]
    assert reports[0] == reports[1]
    assert inventory(partner) == inventory(harbor) == {"A": ("active", 1)}


def test_report_has_the_run_and_each_record(known: Caller) -> None:
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
        "undoOf": None,
        "source": "file",
        "actor": f"partner-{PARTNER}",
        "state": "completed",
        "acceptedAt": RECORDED_AT,
        "finishedAt": RECORDED_AT,
        "counts": dict.fromkeys(OUTCOMES, 0) | {"created": 1, "discrepancy": 1, "failed": 1},
        "messages": [],
        "position": position(known),
        "problem": None,
        "reason": None,
        "undoneBy": None,
        "records": [
            report_record("NEW", "created"),
            report_record("ACTIVE", "discrepancy", MISSING),
            report_record("BAD", "failed", "assets.logo: required", "assets.largeRectangle: required"),
        ],
    }
    OffersFileReply.model_validate(report)


def report_record(
    offer: str | None, outcome: str, *record_messages: str, merchant: str | None = MERCHANT
) -> dict[str, Any]:
    return {"merchantId": merchant, "externalId": offer, "outcome": outcome, "messages": list(record_messages)}


def test_records_are_reported_by_outcome_then_as_sent(partner: Caller) -> None:
    reply = send_file(partner, record("F-1", x=10**40), record("B"), record("A"), record("F-2", x=10**40))
    assert outcomes(reply) == {"created": ["B", "A"], "failed": ["F-1", "F-2"]}


# Statuses


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
    ("sent", "outcome", "expected_state", "expected_messages"),
    SITUATIONS,
    ids=lambda value: f"{value['offerStatus']} on {value['offerId']}" if isinstance(value, dict) else "",
)
def test_record_has_the_effect_of_its_status(
    known: Caller,
    sent: dict[str, Any],
    outcome: str,
    expected_state: tuple[str, int] | None,
    expected_messages: list[str],
) -> None:
    offer = sent["offerId"]
    before = inventory(known)
    reply = send_file(known, sent)
    assert report_record(offer, outcome, *expected_messages) in completed_report(reply)["records"]
    assert nonzero_counts(reply) == {outcome: 1} | ({} if offer == "ACTIVE" else {"discrepancy": 1})
    assert inventory(known) == before | ({offer: expected_state} if expected_state else {})
    if outcome in {"created", "updated", "restored"}:
        assert offer_of(known, offer=offer)["content"] == content(sent)


def test_no_change_keeps_the_stored_content(known: Caller) -> None:
    before = offer_of(known, offer="ACTIVE")
    assert messages(send_file(known, changed("ACTIVE", "NO-CHANGE"))) == {"ACTIVE": [KEPT]}
    assert offer_of(known, offer="ACTIVE") == before


def test_record_with_the_status_deleted_needs_only_its_ids(known: Caller) -> None:
    bare = {"offerStatus": "DELETED", "offerId": "ACTIVE", "merchantId": MERCHANT}
    assert outcomes(send_file(known, bare, bare | {"offerId": "DELETED", "assets": 5})) == {
        "deleted": ["ACTIVE"],
        "unchanged": ["DELETED"],
    }


def test_same_offer_id_at_two_merchants_is_two_offers(partner: Caller) -> None:
    reply = send_file(partner, record("A"), record("A", merchantId="MER-311"))
    assert [(item["merchantId"], item["outcome"]) for item in completed_report(reply)["records"]] == [
        (MERCHANT, "created"),
        ("MER-311", "created"),
    ]


# Missing offers


def missing_from(caller: Caller) -> httpx2.Response:
    """Sends a file with one of three offers."""
    for name in ("A", "B", "C"):
        put(caller, content(record(name)), offer=name)
    delete(caller, offer="C")
    return send_file(caller, record("A"))


def test_missing_active_offer_is_reported_as_a_discrepancy(partner: Caller) -> None:
    reply = missing_from(partner)
    assert (nonzero_counts(reply), messages(reply)) == ({"unchanged": 1, "discrepancy": 1}, {"B": [MISSING]})
    assert inventory(partner) == {"A": ("active", 1), "B": ("active", 1), "C": ("deleted", 2)}


def test_missing_active_offer_is_deleted_if_the_partner_says_so(partner: Caller, service: Service) -> None:
    set_missing_from_file(service, MissingFromFile.DELETE)
    reply = missing_from(partner)
    assert (nonzero_counts(reply), messages(reply)) == ({"unchanged": 1, "deleted": 1}, {"B": [MISSING]})
    assert inventory(partner) == {"A": ("active", 1), "B": ("deleted", 2), "C": ("deleted", 2)}
    last = history_of(partner, offer="B")[-1]
    assert (last["type"], last["cause"], last["source"]) == ("OfferDeleted", "absent-from-file", "file")
    assert last["runId"] == reply.json()["runId"]


def test_offer_with_an_invalid_record_is_not_missing(known: Caller, service: Service) -> None:
    set_missing_from_file(service, MissingFromFile.DELETE)
    assert nonzero_counts(send_file(known, record("ACTIVE", offerName=""), record("B"))) == {"created": 1, "failed": 1}
    assert inventory(known)["ACTIVE"] == ("active", 1)


@pytest.mark.parametrize(
    "records", [[], [record("F", offerName="")], [record("B"), {"offerStatus": "NEW"}], [record("B"), 5]]
)
def test_file_without_reliable_ids_deletes_no_missing_offer(
    known: Caller, service: Service, records: list[Any]
) -> None:
    set_missing_from_file(service, MissingFromFile.DELETE)
    reply = send_file(known, *records)
    assert nonzero_counts(reply)["discrepancy"] == 1
    assert [message.partition(":")[0] for message in completed_report(reply)["messages"]] == [NOTHING_DELETED]
    assert inventory(known)["ACTIVE"] == ("active", 1)


# Warnings


@pytest.mark.parametrize(
    ("name", "header", "expected_messages"),
    [
        (NAME, {}, []),
        (NAME, {"fileCreationDate": "20261122"}, []),
        (NAME, {"fileCreationDate": "2026-11-22T06:00:00Z"}, []),
        (NAME, {"offerRecordCount": 1.0}, []),
        (NAME, {"fileCreationDate": "2026-11-21"}, [OTHER_DATE]),
        (NAME, {"fileCreationDate": "tonight"}, [OTHER_DATE]),
        (NAME, {"fileCreationDate": None}, [OTHER_DATE]),
        ("TIDE-POOLOffers20261122.json", {}, []),
        ("SeagrassOffers20261122.json", {}, [OTHER_PARTNER_NAME]),
        ("SeagrassOffers20261123.json", {}, [OTHER_DATE, OTHER_PARTNER_NAME]),
        (NAME, {"note": 1}, ["note: ignored, not a member of the header"]),
    ],
)
def test_mismatch_with_the_file_name_is_a_warning(
    partner: Caller, name: str, header: dict[str, Any], expected_messages: list[str]
) -> None:
    reply = send_json(partner, offers_file(record("A"), **header), name)
    assert (completed_report(reply)["messages"], nonzero_counts(reply)) == (expected_messages, {"created": 1})


@pytest.mark.parametrize("send", [send_form, send_json])
def test_file_with_the_name_of_another_partner_is_refused(partner: Caller, service: Service, send: Any) -> None:
    service.ledger.handle(SetPartner("harbor-dining"), OPERATOR)
    sent = offers_file(record("A"))
    for name in ("HarborDiningOffers20261122.json", "HARBOR_DININGOffers20261122.json"):
        reply = send(partner, sent, name)
        assert refusal(reply, 422) == ("validation-error", ["/name"])
        assert "arbor" not in reply.text
    assert (inventory(partner), runs(partner)) == ({}, [])


def test_other_members_of_the_envelope_are_ignored_with_a_warning(partner: Caller) -> None:
    reply = send_json(partner, offers_file(record("A")) | {"trailer": {"checksum": "x"}})
    assert completed_report(reply)["messages"] == ["trailer: ignored, not a member of an offers file"]
