"""Makes the calls of the demo, prints them, and compares each reply with the story."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import msgspec

from api.cli.demo import narration
from api.cli.demo.environment import START_TIMEOUT_SECONDS, Reply, Stage
from api.cli.demo.narration import REPLY_LISTS, Call, StoryStep
from api.http.paths import BATCH_PATH, OFFERS_FILES_PATH, RUNS_PATH
from domain.runs.run import RunState
from domain.single_requests.request import TraceOutcome
from domain.values import Operation, Role, utc_text
from projections.maintenance import verification

OPERATOR = "Operator"
REPLAYED_HEADER = "Idempotency-Replayed"
SHOWN_SECRET_CHARACTERS = 6
REPLY_POLL_SECONDS = 0.1


class UnexpectedReply(Exception):
    """A reply differs from the story."""


class Day:
    """The example day: its steps, with the calls that were made. `is_printed`: prints each call when it is made."""

    def __init__(self, stage: Stage, *, is_printed: bool) -> None:
        self.steps: list[StoryStep] = []
        self._stage = stage
        self._is_printed = is_printed
        self._tokens: dict[str, str] = {}

    def begin(self, title: str, story: str) -> None:
        self.steps.append(StoryStep(len(self.steps) + 1, title, story))
        if self._is_printed:
            narration.print_step(self.steps[-1])

    def require(self, subject: str, found: object, expected: object) -> None:
        """Raises UnexpectedReply if the values differ."""
        if found != expected:
            step = f"Step {len(self.steps)} failed"
            raise UnexpectedReply(f"{step}: {subject}: expected {_json(expected)}, found {_json(found)}")

    # Time

    def now(self, **later: float) -> str:
        return utc_text(self._stage.clock() + timedelta(**later))

    def skip(self, days: int) -> None:
        self._stage.clock.skip(days)

    # Commands

    def set_partner(self, partner: str) -> None:
        self._stage.set_partner(partner)
        command = f"partners set {partner} --synchronize-per-day 0 --insert-per-hour 0"
        self._record_call(Call(OPERATOR, f"offer-ledger {command}"))

    def create_token(self, caller: str, name: str, role: Role, partner: str | None = None) -> None:
        """Creates a token; all later calls of the caller use it."""
        secret = self._stage.create_token(name, role, partner)
        self._tokens[caller] = name
        option = f" --partner {partner}" if partner else ""
        shown = f"{secret[:SHOWN_SECRET_CHARACTERS]}..."
        call = Call(OPERATOR, f"offer-ledger tokens create --role {role}{option} --name {name}", answer=shown)
        self._record_call(call, answered=[shown])

    def verify(self) -> None:
        differences = verification.verify(self._stage.service.ledger)
        answer = {"equal": not differences, "differences": differences}
        success = "All commits and all projections match the events."
        call = Call(OPERATOR, "offer-ledger projections verify", answer=answer)
        self._record_call(call, answered=[] if differences else [success])
        self.require("the differences from the events", [difference.where for difference in differences], [])

    # Requests

    def send(
        self, caller: str, batch: dict[str, Any], *, is_repeated: bool = False, **outcomes: list[str]
    ) -> dict[str, Any]:
        """Sends a batch. `outcomes`: the expected externalIds by outcome; `is_repeated`: the reply must be the stored
        one."""
        reply = self._stage.send(self._tokens[caller], batch)
        self._require_ok(reply)
        replayed = reply.headers[REPLAYED_HEADER]
        headers = {REPLAYED_HEADER: replayed} if replayed else {}
        call = Call(caller, f"POST {BATCH_PATH}", batch, reply.status, headers, reply.document)
        sent = narration.request_lines(batch, with_id=is_repeated)
        self._record_call(
            call, sent, narration.batch_reply_lines(reply.document, *(f"{k}: {v}" for k, v in headers.items()))
        )
        self.require(REPLAYED_HEADER, replayed, "true" if is_repeated else None)
        data: dict[str, Any] = reply.document["data"]
        found = {
            outcome: [item["externalId"] for item in data[name]] for outcome, name in REPLY_LISTS.items() if data[name]
        }
        self.require("the outcome", found, outcomes)
        self.require("the responseType", reply.document["responseType"], _response_type(outcomes))
        return data

    def send_without_reply(self, caller: str, batch: dict[str, Any]) -> dict[str, Any]:
        """Sends a batch and loses the reply. Returns the completed run, found by the id of the request."""
        path = f"{RUNS_PATH}?concurrencyRequestId={batch['concurrencyRequestId']}"
        with self._stage.send_without_reading(self._tokens[caller], batch):
            lost = "(the connection breaks before the reply arrives)"
            self._record_call(
                Call(caller, f"POST {BATCH_PATH}", batch), narration.request_lines(batch, with_id=True), [lost]
            )
            deadline = monotonic() + START_TIMEOUT_SECONDS
            while RunState.COMPLETED not in self._states(caller, path) and monotonic() < deadline:
                sleep(REPLY_POLL_SECONDS)
        found = self.get(caller, path, lambda page: map(narration.run_line, page["items"]))["items"]
        self.require("the states of its runs", [run["state"] for run in found], [RunState.COMPLETED])
        run: dict[str, Any] = found[0]
        return run

    def get(self, caller: str, path: str, summarize: Callable[[Any], Iterable[str]]) -> Any:
        """Returns the document; `summarize` gives the lines to print."""
        reply = self._get(caller, path)
        call = Call(caller, f"GET {path}", None, reply.status, answer=reply.document)
        self._record_call(call, answered=summarize(reply.document))
        return reply.document

    def change(self, caller: str, method: str, path: str, document: Any, outcome: TraceOutcome) -> None:
        """Sends a single request, and compares the outcome of its trace."""
        reply = self._stage.change(self._tokens[caller], method, path, document)
        self.require("the status", reply.status, HTTPStatus.ACCEPTED)
        call = Call(caller, f"{method} {path}", document, reply.status, {}, reply.document)
        self._record_call(call, narration.merchant_offer_lines(document), [reply.document["message"]])
        trace = self.get(caller, reply.headers["Location"], lambda trace: [narration.trace_line(trace)])
        self.require("the outcome", trace["outcome"], outcome)

    def post(
        self,
        caller: str,
        path: str,
        document: dict[str, Any],
        status: HTTPStatus,
        summarize: Callable[[Any], Iterable[str]],
    ) -> Any:
        """Sends the report of a publisher. Returns the document, which may be a refusal."""
        reply = self._stage.change(self._tokens[caller], "POST", path, document)
        self.require("the status", reply.status, status)
        call = Call(caller, f"POST {path}", document, reply.status, {}, reply.document)
        self._record_call(call, narration.publisher_report_lines(document), summarize(reply.document))
        return reply.document

    def send_file(self, caller: str, document: dict[str, Any], outcomes: dict[str, str]) -> None:
        """Sends an offers file. `outcomes`: the expected outcomes by externalId."""
        name = f"{caller}Offers{document['header']['fileCreationDate'].replace('-', '')}.json"
        path = f"{OFFERS_FILES_PATH}?name={name}"
        reply = self._stage.change(self._tokens[caller], "POST", path, document)
        self._require_ok(reply)
        call = Call(caller, f"POST {path}", document, reply.status, {}, reply.document)
        self._record_call(call, narration.record_lines(document["offers"]), narration.file_report_lines(reply.document))
        found = {record["externalId"]: record["outcome"] for record in reply.document["records"]}
        self.require("the outcome", found, outcomes)

    def _get(self, caller: str, path: str) -> Reply:
        reply = self._stage.get(self._tokens[caller], path)
        self._require_ok(reply)
        return reply

    def _require_ok(self, reply: Reply) -> None:
        self.require("the status", reply.status, HTTPStatus.OK)

    def _states(self, caller: str, path: str) -> list[str]:
        return [run["state"] for run in self._get(caller, path).document["items"]]

    def _record_call(self, call: Call, sent: Iterable[str] = (), answered: Iterable[str] = ()) -> None:
        calls = self.steps[-1].calls
        calls.append(call)
        if self._is_printed:
            # Consecutive commands are printed without a blank line.
            narration.print_call(call, sent, answered, joined=[c.caller for c in calls[-2:]] == [OPERATOR, OPERATOR])


def offer(external_id: str, headline: str, **more: Any) -> dict[str, Any]:
    """Returns an offer of a batch: the members that the format requires, and `more`."""
    page = external_id.lower()
    content = {
        "offerLink": f"https://track.example/{page}?click={{gk_click_id}}",
        "trackingSystem": "CustomTracking",
        "name": external_id,
        "advertiserCampaignName": None,
        "headline": headline,
        "shortDescription": None,
        "keyPoints": None,
        "offerDetails": "Once per person.",
        "termsAndDisclaimers": None,
        "creativeFileExternalUrl": None,
        "creatives": [{"order": 0, "url": f"https://cdn.example/{page}.png"}],
        **more,
    }
    return {"externalId": external_id, "offerData": [content]}


def merchant_offer(merchant_id: str, offer_id: str, name: str) -> dict[str, Any]:
    """Returns a merchant offer with the members that the format requires."""

    def image(file: str) -> dict[str, Any]:
        return {"type": "IMAGE", "value": {"large": {"url": f"https://cdn.example/{file}.png"}}}

    assets = {"logo": image("logo"), "largeRectangle": image("rectangle")}
    return {"offerId": offer_id, "merchantId": merchant_id, "offerName": name, "assets": assets}


def offers_file(*records: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns an offers file of these records, each with its status. The date has no effect on the story."""
    header = {"fileDescription": "all offers", "fileCreationDate": "2025-11-21", "offerRecordCount": len(records)}
    return {"header": header, "offers": [{"offerStatus": status, **offer} for status, offer in records]}


def batch(operation: Operation, *offers: dict[str, Any]) -> dict[str, Any]:
    return {"concurrencyRequestId": str(uuid4()), "operation": operation, "offers": offers}


def _response_type(outcomes: dict[str, list[str]]) -> str:
    return "PartialSuccess" if "failed" in outcomes else "Success"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
