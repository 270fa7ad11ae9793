"""Calls every operation of the real service once or more, and records what was sent and answered.

The examples of the OpenAPI document are recordings of this tour. A test compares its replies with the declared headers.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx2

from api.dependencies.authentication import digest_secret
from api.http.paths import BATCH_PATH, OFFERS_FILES_PATH
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.values import Channel, OfferKey, Role, utc_text
from tests.support.calls.merchants import offer_path
from tests.support.calls.stalled_runs import accept_elsewhere
from tests.support.examples import batch, item
from tests.support.harness import OPERATOR, Clock, plain_client
from tests.support.local_server import serving
from tests.support.waiting import wait_until

SAMPLES = Path(__file__).parents[3] / "examples"
JSON, LINES = "application/json", "application/x-ndjson"
OFFER = str(OfferKey("tidepool", Channel.CUSTOM, None, "TP-1001").offer_uid)
ACTIVATIONS, PURCHASES, AUDIT = "/api/v1/activations", "/api/v1/redemptions", "/api/v1/audit"
RANDOM_ID = re.compile(r"(?:req-)?[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}")


class Answer(NamedTuple):
    """One call of the tour: `sent` and `received` are by media type."""

    operation: str
    status: int
    headers: Mapping[str, str]
    sent: dict[str, Any]
    received: dict[str, Any]


class Tour:
    """The clients of a running service, and the answers so far."""

    def __init__(self, address: str, clock: Clock) -> None:
        self.clock = clock
        self.answers: list[Answer] = []
        self.address = address

    def call(self, operation: str, token: str | None, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = options.pop("headers", {}) | ({"Authorization": f"ApiToken {token}"} if token else {})
        with plain_client(self.address, headers=headers) as client:
            with client.stream(method, path, **options) as reply:
                text = _text(reply)
            self.answers.append(
                Answer(operation, reply.status_code, reply.headers, _sent(reply.request), _received(reply, text))
            )
        return reply

    def post(self, operation: str, token: str, path: str, sent: Any, **headers: str) -> httpx2.Response:
        named = {"Content-Type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
        content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        return self.call(operation, token, "POST", path, content=content, headers=named)

    def get(
        self, operation: str, token: str | None, path: str, accepted: str = "*/*", **params: Any
    ) -> httpx2.Response:
        return self.call(operation, token, "GET", path, params=params, headers={"Accept": accepted})

    def wait_for(self, token: str, accepted: httpx2.Response) -> None:
        """Waits for the end of a run, without recording the calls."""
        with plain_client(self.address, headers={"Authorization": f"ApiToken {token}"}) as client:
            wait_until(lambda: client.get(accepted.headers["Location"]).json()["state"] == "completed")


def _text(reply: httpx2.Response) -> str:
    """Reads the reply; of an endless stream, its first messages."""
    if not reply.headers.get("Content-Type", "").startswith("text/event-stream"):
        return reply.read().decode()
    text = ""
    for part in reply.iter_text():
        text += part
        if "\ndata: " in text:
            break
    return text.partition("\n\n")[2].partition("\n\n")[0] + "\n\n"


def _received(reply: httpx2.Response, text: str) -> dict[str, Any]:
    media_type = reply.headers.get("Content-Type", "").partition(";")[0]
    if not media_type:
        return {}
    return {media_type: json.loads(text) if media_type in {JSON, "application/problem+json"} else text}


def _sent(request: httpx2.Request) -> dict[str, Any]:
    media_type = request.headers.get("Content-Type", "")
    if media_type not in {JSON, LINES}:
        return {}
    first, _, _ = request.content.partition(b"\n") if media_type == LINES else (request.content, b"", b"")
    try:
        return {media_type: json.loads(first)}
    except ValueError:
        return {}


@contextmanager
def toured_service() -> Iterator[tuple[Tour, Service]]:
    """Starts a service on a new SQLite ledger, with partners and tokens. The secret of a token is its name."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/ledger.db", pseudonym_key="examples " * 4)
        with open_service(settings, clock) as service:
            for partner in ("tidepool", "harbor", "meridian"):
                runs, requests = (None, 1) if partner == "meridian" else (0, 0)
                terms = SetPartner(partner, synchronize_per_day=runs, insert_per_hour=runs, rps=requests)
                service.ledger.handle(terms, OPERATOR)
                create_named_token(service, partner, Role.PARTNER, partner)
            for role in (Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR):
                create_named_token(service, role, role)
            create_named_token(service, "slow", Role.AUDITOR, requests_per_minute=1)
            with serving(service) as address:
                yield Tour(address, clock), service


def create_named_token(service: Service, name: str, role: Role, partner: str | None = None, **terms: Any) -> None:
    terms = {"requests_per_minute": 0, "expires_at": None} | terms
    service.ledger.handle(CreateToken(name, role, partner, digest_secret(name), **terms), OPERATOR)


def take() -> list[Answer]:
    """Makes all calls, and returns their answers."""
    with toured_service() as (tour, service):
        _probe(tour)
        _send_offers(tour)
        tour.clock.move(minutes=1)
        _report(tour)
        tour.clock.move(days=1)
        _read(tour)
        _hold(tour)
        _undo(tour)
        _be_refused(tour, service)
    return tour.answers


def _sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def _probe(tour: Tour) -> None:
    """Comes first: later, the clock has been moved, and the service reports that."""
    tour.get("healthz", None, "/healthz")
    for media_type in (JSON, "text/html"):
        tour.get("showStart", None, "/", media_type)
    tour.get("readyz", None, "/readyz")


def _send_offers(tour: Tour) -> None:
    first, second = _sample("batch-insert.json"), _sample("batch-synchronize.json")
    tour.post("sendBatch", "tidepool", BATCH_PATH, first, Prefer="wait=10")
    tour.clock.move(hours=1)
    run = tour.post("sendBatch", "tidepool", BATCH_PATH, second).json()["data"]["runId"]
    tour.post("sendBatch", "tidepool", BATCH_PATH, second)
    later = tour.post("sendBatch", "tidepool", BATCH_PATH, batch("Insert", [item()]), Prefer="respond-async")
    tour.wait_for("tidepool", later)
    broken = batch("Insert", [item(name="")])
    for prefer in ("wait=10", ""):
        tour.post("sendBatch", "tidepool", BATCH_PATH, broken, Prefer=prefer)
    tour.get("getRun", "tidepool", f"/api/v1/runs/{run}")
    tour.get("listItems", "tidepool", f"/api/v1/runs/{run}/items")
    tour.get("listItems", "tidepool", f"/api/v1/runs/{run}/items", limit=1)
    name = "HarborOffers20261122.json"
    for prefer in ("wait=10", ""):
        path = f"{OFFERS_FILES_PATH}?name={name}"
        tour.post("sendOffersFile", "harbor", path, _sample(name), Prefer=prefer)
    later_file = _sample(name) | {"offers": []}
    later_file["header"] |= {"offerRecordCount": 0}
    path = f"{OFFERS_FILES_PATH}?name={name.replace('22', '23', 1)}"
    tour.wait_for("harbor", tour.post("sendOffersFile", "harbor", path, later_file, Prefer="respond-async"))
    tour.post("sendOffersFile", "harbor", f"{OFFERS_FILES_PATH}?name=x", later_file)
    _send_single_offers(tour)


def _send_single_offers(tour: Tour) -> None:
    sent = json.dumps(_sample("merchant-offer.json")).encode()
    put = tour.call("putOffer", "tidepool", "PUT", offer_path(), content=sent, headers={"Content-Type": JSON})
    tour.get("getTrace", "tidepool", put.headers["Location"])
    tour.call("putOffer", "tidepool", "PUT", offer_path(), content=b"{}", headers={"Content-Type": JSON})
    tour.call("putOffer", "tidepool", "PUT", offer_path(), content=b"{}", headers={"Content-Type": "text/plain"})
    tour.call("deleteOffer", "tidepool", "DELETE", offer_path(), headers={"If-Match": '"9"'})
    tour.call("deleteOffer", "tidepool", "DELETE", offer_path())
    tour.call("deleteOffer", "tidepool", "DELETE", offer_path(offer=b"\xff"))
    tour.get("getQuota", "tidepool", "/api/v1/partner/quota")


def _report(tour: Tour) -> None:
    activation = _sample("activation.json")
    made = tour.post("activateOffer", "publisher", ACTIVATIONS, activation)
    tour.post("activateOffer", "publisher", ACTIVATIONS, activation)
    lines = (SAMPLES / "activations.ndjson").read_bytes()
    tour.post("activateOffers", "publisher", f"{ACTIVATIONS}/batch", lines, Content_Type=LINES)
    tour.clock.move(minutes=1)
    purchase = _sample("redemption.json") | {"transactedAt": utc_text(tour.clock.now)}
    redeemed = tour.post("redeemOffer", "publisher", PURCHASES, purchase)
    tour.post("redeemOffer", "publisher", PURCHASES, purchase)
    tour.post("redeemOffer", "publisher", PURCHASES, purchase | {"transactionId": "T-2", "customerId": "C-9"})
    path = redeemed.headers["Location"]
    for _ in range(2):
        tour.post("reverseRedemption", "publisher", f"{path}/reversals", _sample("reversal.json"))
    tour.get("getRedemption", "publisher", path)
    tour.get("getActivation", "publisher", made.headers["Location"])
    for days in (1, 2):
        flight = {"startsAt": utc_text(tour.clock.now + timedelta(days=days)), "redemptionWindowDays": 30}
        for _ in range(2):
            tour.post("scheduleFlight", "publisher", f"/api/v1/offers/{OFFER}/flights", flight)
    # The purchase precedes a second activation, which arrives late and changes the verdict.
    early = tour.clock.now
    for number, customer in enumerate(("C-8", "C-9"), 3):
        late = {"transactionId": f"T-{number}", "customerId": customer, "transactedAt": utc_text(early)}
        tour.post("redeemOffer", "publisher", PURCHASES, purchase | late)
    tour.clock.move(minutes=1)
    for customer in ("C-8", "C-9"):
        reported = activation | {"customerId": customer, "activatedAt": utc_text(early - timedelta(seconds=30))}
        tour.post("activateOffer", "publisher", ACTIVATIONS, reported)


def _hold(tour: Tour) -> None:
    """Holds and releases an offer, with a refused activation in between."""
    hold = {"reason": "The reward in the terms is wrong", "until": utc_text(tour.clock.now + timedelta(days=2))}
    for _ in range(2):
        tour.post("holdOffer", "operator", f"/api/v1/offers/{OFFER}/hold", hold)
    tour.post("activateOffer", "publisher", ACTIVATIONS, _sample("activation.json") | {"customerId": "C-7"})
    for _ in range(2):
        release = {"reason": "The partner corrected the terms"}
        tour.post("releaseOffer", "operator", f"/api/v1/offers/{OFFER}/release", release)
    for action in ("hold", "release"):
        tour.post(f"{action}Offer", "operator", f"/api/v1/offers/x/{action}", release)


_LIMITS: tuple[dict[str, Any], ...] = ({}, {"limit": 1})


def _read(tour: Tour) -> None:
    day = {"from": "2026-11-22T12:00:00Z", "to": "2026-11-23T00:00:00Z"}
    verdicts = {"from": "2026-11-22T13:32:30Z", "to": "2026-11-23T00:00:00Z"}
    for limit in _LIMITS:
        tour.get("listRuns", "tidepool", "/api/v1/runs", **limit)
        tour.get("listOffers", "tidepool", "/api/v1/offers", **limit)
        tour.get("getHistory", "tidepool", f"/api/v1/offers/{OFFER}/history", **limit)
        tour.get("listFlights", "publisher", f"/api/v1/offers/{OFFER}/flights", **limit)
        tour.get("listWindows", "publisher", "/api/v1/redemption-windows", **limit)
        tour.get("getDiff", "auditor", f"{AUDIT}/diff", **day, **limit)
        tour.get("listEvents", "auditor", f"{AUDIT}/events", **{"type": "OfferActivated"} | limit)
        tour.get("listChangedVerdicts", "auditor", f"{AUDIT}/changed-verdicts", **verdicts, **limit)
    for media_type in (LINES, "text/csv", "application/cloudevents+json"):
        tour.get("listEvents", "auditor", f"{AUDIT}/events", media_type, type="OfferRedeemed", limit=1)
    tour.get("followEvents", "auditor", f"{AUDIT}/stream", type="OfferRedeemed", afterPosition=0)
    tour.get("countOffers", "tidepool", "/api/v1/offers/counts")
    offer = tour.get("getOffer", "tidepool", f"/api/v1/offers/{OFFER}")
    headers = {"If-None-Match": offer.headers["ETag"]}
    tour.call("getOffer", "tidepool", "GET", f"/api/v1/offers/{OFFER}", headers=headers)
    _read_inside_a_commit(tour)
    question = {"customerId": "C-1001", "offerUid": OFFER, "transactedAt": "2026-11-22T13:33:00Z"}
    tour.get("getVerdict", "publisher", "/api/v1/redemption-verdict", **question)
    tour.get("getFeed", "tidepool", "/api/v1/partner/redemptions", date="2026-11-22")
    for media_type in (JSON, "text/html"):
        tour.get("explainProblem", None, "/problems/run-in-progress", media_type)


def _read_inside_a_commit(tour: Tour) -> None:
    """Reads states that have a part of a commit only."""
    events = tour.get("listEvents", "auditor", f"{AUDIT}/events", limit=100).json()["items"]
    runs = [(event["runId"], event["position"]) for event in events if event["runId"]]
    inside = next(position for (run, position), (next_run, _) in pairwise(runs) if run == next_run)
    created = next(event["offerUid"] for event in events if event["position"] == inside)
    state, offer = {"asOfPosition": inside}, f"/api/v1/offers/{created}"
    tour.get("listOffers", "auditor", "/api/v1/offers", **state)
    tour.get("countOffers", "auditor", "/api/v1/offers/counts", **state)
    tour.get("getOffer", "auditor", offer, **state)
    tour.call("getOffer", "auditor", "GET", offer, params=state, headers={"If-None-Match": "*"})
    tour.get("getOffer", "auditor", f"/api/v1/offers/{UUID(int=0)}", **state)
    tour.get("getDiff", "auditor", f"{AUDIT}/diff", fromPosition=0, toPosition=inside)


def _undo(tour: Tour) -> None:
    first, second = (
        tour.post("sendBatch", "tidepool", BATCH_PATH, batch("Insert", [item(name)])).json()["data"]["runId"]
        for name in ("TP-8", "TP-9")
    )
    wrong = {"reason": "The batch had wrong rewards"}
    tour.post("undoRun", "operator", f"/api/v1/runs/{first}/undo", wrong, Prefer="wait=10")
    tour.post("undoRun", "operator", f"/api/v1/runs/{first}/undo", wrong)
    tour.post("undoRun", "operator", f"/api/v1/runs/{second}/undo?plan=true", wrong)
    tour.wait_for(
        "operator",
        tour.post("undoRun", "operator", f"/api/v1/runs/{second}/undo", wrong, Prefer="respond-async"),
    )
    tour.post("undoRun", "operator", f"/api/v1/runs/{first}/undo?plan=true", wrong)
    tour.post("undoRun", "operator", f"/api/v1/runs/{UUID(int=0)}/undo", wrong)


def _be_refused(tour: Tour, service: Service) -> None:
    """Sends requests that the service refuses, with the types that occur most."""
    _be_refused_as_publisher(tour)
    tour.get("listOffers", None, "/api/v1/offers")
    tour.get("listOffers", "auditor", "/api/v1/offers", limit=0)
    tour.get("countOffers", "publisher", "/api/v1/offers/counts")
    tour.get("explainProblem", None, "/problems/unheard-of")
    tour.get("explainProblem", None, "/problems/not-found", x="1")
    for _ in range(2):
        tour.get("listRuns", "slow", "/api/v1/runs")
    tour.get("getRun", "auditor", "/api/v1/runs/x")
    tour.call("putOffer", None, "PUT", offer_path())
    tour.call("putOffer", "auditor", "PUT", offer_path())
    for _ in range(2):
        tour.call("deleteOffer", "meridian", "DELETE", offer_path())
        tour.post("sendBatch", "meridian", BATCH_PATH, batch("Insert", [item()]))
    tour.post("sendBatch", "tidepool", BATCH_PATH, b"{", Content_Type="text/plain")
    tour.post("sendBatch", "tidepool", BATCH_PATH, b"{")
    active = accept_elsewhere(service, batch("Insert", [item("TP-5")]))
    tour.post("undoRun", "operator", f"/api/v1/runs/{active.run_id}/undo", {"reason": "It was wrong"})
    tour.post("sendBatch", "tidepool", BATCH_PATH, batch("Insert", [item()]))


def _be_refused_as_publisher(tour: Tour) -> None:
    early = {"customerId": "C-2", "activatedAt": "2026-01-01T00:00:00Z"}
    tour.post("activateOffer", "publisher", ACTIVATIONS, _sample("activation.json") | early)
    unknown = {"offerUid": str(uuid5(NAMESPACE_URL, "unknown"))}
    tour.post("activateOffer", "publisher", ACTIVATIONS, _sample("activation.json") | unknown)
    redeemed = next(answer for answer in tour.answers if answer.operation == "redeemOffer")
    reversals = f"{redeemed.headers['Location']}/reversals"
    tour.post("reverseRedemption", "publisher", reversals, {"reversalId": "R-2", "amount": "99.00"})
    flight = {"startsAt": utc_text(tour.clock.now + timedelta(days=1)), "redemptionWindowDays": 31}
    tour.post("scheduleFlight", "publisher", f"/api/v1/offers/{OFFER}/flights", flight)
    tour.post("scheduleFlight", "publisher", f"/api/v1/offers/{OFFER}/flights", flight | {"redemptionWindowDays": 32})
    tour.post("scheduleFlight", "publisher", "/api/v1/offers/x/flights", flight)


# Examples


def recorded_examples(answers: list[Answer]) -> str:
    """Returns the text of `examples.json`: for each operation the first request and the first reply of each status."""
    examples: dict[str, dict[str, dict[str, Any]]] = {}
    for answer in answers:
        found = examples.setdefault(answer.operation, {})
        if answer.status < httpx2.codes.BAD_REQUEST:
            found.setdefault("request", answer.sent)
            received = found.setdefault(str(answer.status), {})
            for media_type, body in answer.received.items():
                received.setdefault(media_type, body)
    kept = {
        operation: {place: bodies for place, bodies in sorted(found.items()) if bodies}
        for operation, found in sorted(examples.items())
    }
    return _without_random_ids(json.dumps(kept, indent=1, ensure_ascii=False)) + "\n"


def _without_random_ids(text: str) -> str:
    """Replaces each random id by one that depends on its place only, so that a repeated tour gives the same text."""
    sent = "".join(path.read_text() for path in SAMPLES.glob("*.json"))
    fixed: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        if match[0] in sent:
            return match[0]
        new = uuid5(NAMESPACE_URL, f"example {len(fixed)}")
        return fixed.setdefault(match[0], f"req-{new.hex}" if match[0].startswith("req-") else str(new))

    text = RANDOM_ID.sub(replaced, text)
    # The id of a reply is derived from the random id of its run.
    return re.sub(r'(?<="responseId": ")[^"]+', str(uuid5(NAMESPACE_URL, "example reply")), text)
