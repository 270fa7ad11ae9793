"""What happens in a step of the demo? A call is made, told, and its answer checked against the story."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import msgspec

from api.cli.demo import narration
from api.cli.demo.environment import START_TIMEOUT_SECONDS, Reply, Stage
from api.cli.demo.narration import LISTS, Call, StoryStep
from api.http.paths import BATCH_PATH, OFFERS_FILES_PATH, RUNS_PATH
from domain.runs.run import RunState
from domain.single_requests.request import TraceOutcome
from domain.values import Operation, Role, utc_text
from projections.maintenance import verification

OPERATOR = "Operator"
REPLAYED_HEADER = "Idempotency-Replayed"
SHOWN_OF_A_SECRET = 6
REPLY_POLL_SECONDS = 0.1


class UnexpectedReply(Exception):  # noqa: N818 - what it says is a sentence
    """An answer is not what the story says it is."""


class Day:
    """Makes the calls of the story; `aloud` prints them as they are made."""

    def __init__(self, stage: Stage, *, aloud: bool) -> None:
        self.steps: list[StoryStep] = []
        self._stage = stage
        self._aloud = aloud
        self._tokens: dict[str, str] = {}

    def begin(self, title: str, story: str) -> None:
        self.steps.append(StoryStep(len(self.steps) + 1, title, story))
        if self._aloud:
            narration.tell_step(self.steps[-1])

    def require(self, what: str, found: object, expected: object) -> None:
        """Raises NotAsTold."""
        if found != expected:
            step = f"Step {len(self.steps)} did not come out as told"
            raise UnexpectedReply(f"{step}: {what} should be {_json(expected)}, and is {_json(found)}")

    # Time

    def now(self, **later: float) -> str:
        return utc_text(self._stage.clock() + timedelta(**later))

    def skip(self, days: int) -> None:
        self._stage.clock.skip(days)

    # Commands

    def set_partner(self, partner: str) -> None:
        self._stage.set_partner(partner)
        command = f"partners set {partner} --synchronize-per-day 0 --insert-per-hour 0"
        self._tell(Call(OPERATOR, f"offer-ledger {command}"))

    def create_token(self, caller: str, name: str, role: Role, partner: str | None = None) -> None:
        """From now on the caller's calls are made with it."""
        secret = self._stage.create_token(name, role, partner)
        self._tokens[caller] = name
        whose = f" --partner {partner}" if partner else ""
        shown = f"{secret[:SHOWN_OF_A_SECRET]}..."
        call = Call(OPERATOR, f"offer-ledger tokens create --role {role}{whose} --name {name}", answer=shown)
        self._tell(call, answered=[shown])

    def verify(self) -> None:
        differences = verification.verify(self._stage.service.ledger)
        answer = {"equal": not differences, "differences": differences}
        said = "Every commit and every projection is what the events say."
        call = Call(OPERATOR, "offer-ledger projections verify", answer=answer)
        self._tell(call, answered=[] if differences else [said])
        self.require("what contradicts the events", [difference.where for difference in differences], [])

    # Requests

    def send(self, caller: str, batch: dict[str, Any], *, again: bool = False, **outcomes: list[str]) -> dict[str, Any]:
        """`outcomes`: the externalIds that the story expects; `again`: that the reply is a stored one."""
        reply = self._stage.send(self._tokens[caller], batch)
        self._require_ok(reply)
        replayed = reply.headers[REPLAYED_HEADER]
        headers = {REPLAYED_HEADER: replayed} if replayed else {}
        call = Call(caller, f"POST {BATCH_PATH}", batch, reply.status, headers, reply.document)
        sent = narration.of_request(batch, with_id=again)
        self._tell(call, sent, narration.of_batch(reply.document, *(f"{k}: {v}" for k, v in headers.items())))
        self.require(REPLAYED_HEADER, replayed, "true" if again else None)
        data: dict[str, Any] = reply.document["data"]
        found = {outcome: [item["externalId"] for item in data[name]] for outcome, name in LISTS.items() if data[name]}
        self.require("the outcome", found, outcomes)
        self.require("the responseType", reply.document["responseType"], _response_type(outcomes))
        return data

    def send_in_vain(self, caller: str, batch: dict[str, Any]) -> dict[str, Any]:
        """The reply gets lost; answers the run, found by the id of the request when it is completed."""
        path = f"{RUNS_PATH}?concurrencyRequestId={batch['concurrencyRequestId']}"
        with self._stage.send_unheard(self._tokens[caller], batch):
            lost = "(the connection breaks before the reply)"
            self._tell(Call(caller, f"POST {BATCH_PATH}", batch), narration.of_request(batch, with_id=True), [lost])
            deadline = monotonic() + START_TIMEOUT_SECONDS
            while RunState.COMPLETED not in self._states(caller, path) and monotonic() < deadline:
                sleep(REPLY_POLL_SECONDS)
        found = self.get(caller, path, lambda page: map(narration.of_run, page["items"]))["items"]
        self.require("the states of its runs", [run["state"] for run in found], [RunState.COMPLETED])
        run: dict[str, Any] = found[0]
        return run

    def get(self, caller: str, path: str, essence: Callable[[Any], Iterable[str]]) -> Any:
        """Answers the document; `essence` is what is told of it."""
        reply = self._ask(caller, path)
        call = Call(caller, f"GET {path}", None, reply.status, answer=reply.document)
        self._tell(call, answered=essence(reply.document))
        return reply.document

    def change(self, caller: str, method: str, path: str, document: Any, outcome: TraceOutcome) -> None:
        """A single request, and what its trace says."""
        reply = self._stage.change(self._tokens[caller], method, path, document)
        self.require("the status", reply.status, HTTPStatus.ACCEPTED)
        call = Call(caller, f"{method} {path}", document, reply.status, {}, reply.document)
        self._tell(call, narration.of_merchant_offer(document), [reply.document["message"]])
        trace = self.get(caller, reply.headers["Location"], lambda trace: [narration.of_trace(trace)])
        self.require("the outcome", trace["outcome"], outcome)

    def post(
        self,
        caller: str,
        path: str,
        document: dict[str, Any],
        status: HTTPStatus,
        essence: Callable[[Any], Iterable[str]],
    ) -> Any:
        """What a publisher reports; answers the document, which may be a refusal."""
        reply = self._stage.change(self._tokens[caller], "POST", path, document)
        self.require("the status", reply.status, status)
        call = Call(caller, f"POST {path}", document, reply.status, {}, reply.document)
        self._tell(call, narration.of_report(document), essence(reply.document))
        return reply.document

    def send_file(self, caller: str, document: dict[str, Any], outcomes: dict[str, str]) -> None:
        """`outcomes`: by externalId, as the story expects them."""
        name = f"{caller}Offers{document['header']['fileCreationDate'].replace('-', '')}.json"
        path = f"{OFFERS_FILES_PATH}?name={name}"
        reply = self._stage.change(self._tokens[caller], "POST", path, document)
        self._require_ok(reply)
        call = Call(caller, f"POST {path}", document, reply.status, {}, reply.document)
        self._tell(call, narration.of_records(document["offers"]), narration.of_file(reply.document))
        found = {record["externalId"]: record["outcome"] for record in reply.document["records"]}
        self.require("the outcome", found, outcomes)

    def _ask(self, caller: str, path: str) -> Reply:
        reply = self._stage.get(self._tokens[caller], path)
        self._require_ok(reply)
        return reply

    def _require_ok(self, reply: Reply) -> None:
        self.require("the status", reply.status, HTTPStatus.OK)

    def _states(self, caller: str, path: str) -> list[str]:
        return [run["state"] for run in self._ask(caller, path).document["items"]]

    def _tell(self, call: Call, sent: Iterable[str] = (), answered: Iterable[str] = ()) -> None:
        calls = self.steps[-1].calls
        calls.append(call)
        if self._aloud:
            # Commands one after the other stand together.
            narration.tell_call(call, sent, answered, joined=[c.caller for c in calls[-2:]] == [OPERATOR, OPERATOR])


def offer(external_id: str, headline: str, **more: Any) -> dict[str, Any]:
    """As a partner sends it: the members that the format asks for, and `more`."""
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
    """As a partner sends it: the members that the format asks for."""

    def image(file: str) -> dict[str, Any]:
        return {"type": "IMAGE", "value": {"large": {"url": f"https://cdn.example/{file}.png"}}}

    assets = {"logo": image("logo"), "largeRectangle": image("rectangle")}
    return {"offerId": offer_id, "merchantId": merchant_id, "offerName": name, "assets": assets}


def offers_file(*records: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A file of these offers, each with its status; any day would do."""
    header = {"fileDescription": "all offers", "fileCreationDate": "2026-11-21", "offerRecordCount": len(records)}
    return {"header": header, "offers": [{"offerStatus": status, **offer} for status, offer in records]}


def batch(operation: Operation, *offers: dict[str, Any]) -> dict[str, Any]:
    return {"concurrencyRequestId": str(uuid4()), "operation": operation, "offers": offers}


def _response_type(outcomes: dict[str, list[str]]) -> str:
    return "PartialSuccess" if "failed" in outcomes else "Success"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
