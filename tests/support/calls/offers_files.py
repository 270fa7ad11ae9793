"""Calls of the offers file channel: sample files, uploads in all formats, and reads of their reports."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx2

from api.http.paths import OFFERS_FILES_PATH
from api.service import Service
from domain.access.partner import SetPartner
from domain.runs.file_names import parse_file_name
from domain.runs.run import OffersFile, Run, RunRequest
from domain.store.records.compression import compress
from domain.values import MissingFromFile, Origin, Source
from tests.support.calls.merchants import merchant_offer
from tests.support.calls.stalled_runs import other_owner
from tests.support.examples import PARTNER, body
from tests.support.harness import OPERATOR, Caller

NAME = "TidepoolOffers20261122.json"
HARBOR_NAME = "HarborOffers20261122.json"
"""The name of a file of another partner."""
DATED = "2026-11-22"
NEXT_DAY, DAY_BEFORE = "TidepoolOffers20261123.json", "TidepoolOffers20261121.json"
REPLAYED = "Idempotency-Replayed"
BOUNDARY = "7d41b838504d8"


def record(offer: Any, status: Any = "UPSERT", **changes: Any) -> dict[str, Any]:
    """Returns a valid record with an offer name, an inline image and an image at a URL."""
    return {"offerStatus": status, **merchant_offer(offer=offer), "offerName": f"Offer {offer}", **changes}


def without(sent: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in sent.items() if member != name}


def content(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the offer of a record, as the body of an equal PUT."""
    return without(sent, "offerStatus")


def offers_file(*records: Any, **header: Any) -> dict[str, Any]:
    """Returns a valid file; `header` replaces members of its header."""
    defaults = {"fileDescription": "All offers", "fileCreationDate": DATED, "offerRecordCount": len(records)}
    return {"header": defaults | header, "offers": list(records)}


def send_file(caller: Caller, *records: Any, name: str = NAME, **headers: str) -> httpx2.Response:
    """Sends a file of these records as JSON."""
    return send_json(caller, offers_file(*records), name, **headers)


def send_json(caller: Caller, sent: Any, name: str | None = NAME, **headers: str) -> httpx2.Response:
    """Sends a document as JSON; bytes, or an iterable of bytes, are sent unchanged."""
    header_fields = {"Content-Type": "application/json"} | _named(headers)
    text = body(sent) if isinstance(sent, dict) else sent
    return caller.http.post(
        OFFERS_FILES_PATH, params={"name": name} if name else {}, content=text, headers=header_fields
    )


def send_form(caller: Caller, sent: Any, name: str = NAME, **headers: str) -> httpx2.Response:
    """Sends a multipart form with one file, encoded by the HTTP client."""
    text = body(sent) if isinstance(sent, dict) else sent
    files = {"file": (name, text, "application/json")}
    return caller.http.post(OFFERS_FILES_PATH, files=files, headers=_named(headers))


def part(sent: bytes, disposition: str = f'form-data; name="file"; filename="{NAME}"', *headers: str) -> bytes:
    """Returns one part of a form, without the boundary before it."""
    header = "".join(f"{line}\r\n" for line in (f"Content-Disposition: {disposition}", *headers))
    return b"\r\n%b\r\n%b\r\n" % (header.encode(), sent)


def form(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    delimiter = f"--{boundary}".encode()
    return b"".join(delimiter + content for content in parts) + delimiter + b"--\r\n"


def send_bytes(caller: Caller, sent: Any, kind: str | None = None, **headers: str) -> httpx2.Response:
    """Sends a multipart body unchanged."""
    header_fields = {"Content-Type": kind or f"multipart/form-data; boundary={BOUNDARY}"} | _named(headers)
    return caller.http.post(OFFERS_FILES_PATH, content=sent, headers=header_fields)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


# Reports


def completed_report(reply: httpx2.Response) -> dict[str, Any]:
    """Returns the report of a file whose run has completed."""
    assert reply.status_code == 200, reply.text
    report: dict[str, Any] = reply.json()
    assert report["state"] == "completed"
    return report


def outcomes(reply: httpx2.Response) -> dict[str, list[str | None]]:
    """Returns the ids of the offers, grouped by outcome."""
    ids: dict[str, list[str | None]] = {}
    for item in completed_report(reply)["records"]:
        ids.setdefault(item["outcome"], []).append(item["externalId"])
    return ids


def messages(reply: httpx2.Response) -> dict[str | None, list[str]]:
    """Returns the messages by offer id, for records that have messages."""
    return {item["externalId"]: item["messages"] for item in completed_report(reply)["records"] if item["messages"]}


def nonzero_counts(reply: httpx2.Response) -> dict[str, int]:
    """Returns the counts above zero."""
    return {outcome: count for outcome, count in completed_report(reply)["counts"].items() if count}


def refusal(reply: httpx2.Response, status: int) -> tuple[str, list[str]]:
    """Returns the type of a problem and the pointers of its errors."""
    problem = reply.json()
    assert (reply.status_code, problem["status"]) == (status, status), reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert problem.keys() >= {"type", "title", "detail", "instance", "errors", "traceId"}
    return problem["type"], [error["pointer"] for error in problem["errors"]]


def inventory(caller: Caller) -> dict[str, tuple[str, int]]:
    """Returns the status and version of every offer."""
    items = caller.get("/api/v1/offers", limit=1000).json()["items"]
    return {offer["externalId"]: (offer["status"], offer["version"]) for offer in items}


def runs(caller: Caller, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get("/api/v1/runs", **params).json()["items"]
    return items


# Settings and runs of other processes


def set_missing_from_file(service: Service, setting: MissingFromFile, partner: str = PARTNER) -> None:
    """Sets how files treat active offers that are missing from them."""
    service.ledger.handle(SetPartner(partner, missing_from_file=setting), OPERATOR)


def accept_file_elsewhere(service: Service, document: dict[str, Any], name: str = NAME) -> Run:
    """Accepts a file as a run of another process. It stays unfinished as long as the test does not move the clock."""
    sent, parts = json.dumps(document).encode(), parse_file_name(name)
    assert parts
    run_input = OffersFile(name, parts.dated)
    request = RunRequest(uuid4(), PARTNER, run_input, hashlib.sha256(sent).hexdigest(), len(sent))
    return other_owner(service).accept(request, Origin("erin", Source.FILE), [compress(sent)]).run
