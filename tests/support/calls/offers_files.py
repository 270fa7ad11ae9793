"""Offers files as a partner sends them, and what is told of them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx2

from api.http.paths import OFFERS_FILES_PATH
from api.service import Service
from domain.access.partner import SetPartner
from domain.runs.file_reconciliation import parse_file_name
from domain.runs.run import OffersFile, Run, RunRequest
from domain.store.records.compression import pack
from domain.values import MissingFromFile, Origin, Source
from tests.support.calls.merchants import merchant_offer
from tests.support.calls.stalled_runs import other_owner
from tests.support.examples import PARTNER, body
from tests.support.harness import OPERATOR, Caller

NAME = "TidepoolOffers20261122.json"
DATED = "2026-11-22"
NEXT_DAY, DAY_BEFORE = "TidepoolOffers20261123.json", "TidepoolOffers20261121.json"
REPLAYED = "Idempotency-Replayed"
BOUNDARY = "7d41b838504d8"


def record(offer: Any, status: Any = "UPSERT", **changes: Any) -> dict[str, Any]:
    """A record in order, with the offer's name told; the images stand inline and by their address."""
    return {"offerStatus": status, **merchant_offer(offer=offer), "offerName": f"Offer {offer}", **changes}


def without(sent: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {told: value for told, value in sent.items() if told != name}


def content(sent: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of its offer: the body of a PUT that would say the same."""
    return without(sent, "offerStatus")


def offers_file(*records: Any, **header: Any) -> dict[str, Any]:
    """A file in order; `header` replaces members of its header."""
    told = {"fileDescription": "All offers", "fileCreationDate": DATED, "offerRecordCount": len(records)}
    return {"header": told | header, "offers": list(records)}


def send_file(caller: Caller, *records: Any, name: str = NAME, **headers: str) -> httpx2.Response:
    """A file of these records, as JSON."""
    return send_json(caller, offers_file(*records), name, **headers)


def send_json(caller: Caller, sent: Any, name: str | None = NAME, **headers: str) -> httpx2.Response:
    """A document, or bytes as they are, or what gives them one by one."""
    given = {"Content-Type": "application/json"} | _named(headers)
    text = body(sent) if isinstance(sent, dict) else sent
    return caller.http.post(OFFERS_FILES_PATH, params={"name": name} if name else {}, content=text, headers=given)


def send_form(caller: Caller, sent: Any, name: str = NAME, **headers: str) -> httpx2.Response:
    """A form with one file, as a client makes it."""
    text = body(sent) if isinstance(sent, dict) else sent
    files = {"file": (name, text, "application/json")}
    return caller.http.post(OFFERS_FILES_PATH, files=files, headers=_named(headers))


def part(sent: bytes, disposition: str = f'form-data; name="file"; filename="{NAME}"', *headers: str) -> bytes:
    """One part of a form, after its boundary."""
    told = "".join(f"{line}\r\n" for line in (f"Content-Disposition: {disposition}", *headers))
    return b"\r\n%b\r\n%b\r\n" % (told.encode(), sent)


def form(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    delimiter = f"--{boundary}".encode()
    return b"".join(delimiter + one for one in parts) + delimiter + b"--\r\n"


def send_bytes(caller: Caller, sent: Any, kind: str | None = None, **headers: str) -> httpx2.Response:
    """A multipart body as it is."""
    given = {"Content-Type": kind or f"multipart/form-data; boundary={BOUNDARY}"} | _named(headers)
    return caller.http.post(OFFERS_FILES_PATH, content=sent, headers=given)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


# What is told


def done(reply: httpx2.Response) -> dict[str, Any]:
    """The report of a file that was carried out."""
    assert reply.status_code == 200, reply.text
    report: dict[str, Any] = reply.json()
    assert report["state"] == "completed"
    return report


def outcomes(reply: httpx2.Response) -> dict[str, list[str | None]]:
    """The offers by what became of them."""
    told: dict[str, list[str | None]] = {}
    for one in done(reply)["records"]:
        told.setdefault(one["outcome"], []).append(one["externalId"])
    return told


def messages(reply: httpx2.Response) -> dict[str | None, list[str]]:
    """What was said of each record, where something was."""
    return {one["externalId"]: one["messages"] for one in done(reply)["records"] if one["messages"]}


def counted(reply: httpx2.Response) -> dict[str, int]:
    """The counts that are not zero."""
    return {outcome: count for outcome, count in done(reply)["counts"].items() if count}


def refusal(reply: httpx2.Response, status: int) -> tuple[str, list[str]]:
    """The type of a problem and the places that it names."""
    problem = reply.json()
    assert (reply.status_code, problem["status"]) == (status, status), reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert problem.keys() >= {"type", "title", "detail", "instance", "errors", "traceId"}
    return problem["type"], [error["pointer"] for error in problem["errors"]]


def inventory(caller: Caller) -> dict[str, tuple[str, int]]:
    """Status and version of every offer."""
    items = caller.get("/api/v1/offers", limit=1000).json()["items"]
    return {one["externalId"]: (one["status"], one["version"]) for one in items}


def runs(caller: Caller, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get("/api/v1/runs", **params).json()["items"]
    return found


# Around it


def missing_is(service: Service, what: MissingFromFile, partner: str = PARTNER) -> None:
    """What becomes of active offers that a file does not name."""
    service.ledger.handle(SetPartner(partner, missing_from_file=what), OPERATOR)


def accept_file_elsewhere(service: Service, document: dict[str, Any], name: str = NAME) -> Run:
    """Makes a file a run that another owner holds; it stays unfinished while the clock stands still."""
    sent, parts = json.dumps(document).encode(), parse_file_name(name)
    assert parts
    asked = OffersFile(name, parts.dated)
    request = RunRequest(uuid4(), PARTNER, asked, hashlib.sha256(sent).hexdigest(), len(sent))
    return other_owner(service).accept(request, Origin("erin", Source.FILE), [pack(sent)]).run
