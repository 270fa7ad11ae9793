"""offer-ledger demo"""

from threading import Event
from typing import Annotated, Any

import typer

from api.cli.demo import redemption_story
from api.cli.demo.client import Day, UnexpectedReply, batch, merchant_offer, offer, offers_file
from api.cli.demo.environment import DemoNotPossible, Stage, open_stage
from api.cli.demo.narration import of_history, of_inventory, of_items, of_offers, tell_console, tell_end, tell_start
from api.cli.output import AsJson, exit_with_error, print_json, until_interrupted
from api.http.paths import MERCHANTS_PATH, RUNS_PATH
from domain.runs.batch_reconciliation import RESUMED
from domain.single_requests.request import TraceOutcome
from domain.values import Operation, Role

TIDEPOOL, HARBOR, AUDITOR = "Tidepool", "Harbor", "Auditor"
OFFERS_PATH = "/api/v1/offers"
VISITORS = (
    ("an operator, who sees everything and may change settings and tokens", ("operator", Role.OPERATOR, None)),
    ("Tidepool, which sees its own", ("tidepool-desk", Role.PARTNER, "tidepool")),
    ("a publisher, who asks what customers are owed", ("publisher-desk", Role.PUBLISHER, None)),
)
"""Of the console: who they are, and the tokens that they sign in with."""

TP_1 = offer("TP-1", "Save for 900 points")
TP_1_CHANGED = offer("TP-1", "Save for 1,200 points")
TP_1_WRONG = offer("TP-1", "Save for 9,000 points", dailyCap="10")
TP_2 = offer("TP-2", "Garden for 400 points")
TP_3 = offer("TP-3", "Sail for 500 points")
TP_3_CHANGED = offer("TP-3", "Sail for 700 points")
TP_4 = offer("TP-4", "Stargaze for 300 points")
HB_1 = offer("HB-1", "5% back at the bakery")
HB_2 = offer("HB-2", "10% back on bicycles")
NOODLES = merchant_offer("MER-7", "NOODLES", "A bowl on the house")
NOODLES_PATH = f"{MERCHANTS_PATH}/MER-7/offers/NOODLES"
DUMPLINGS = merchant_offer("MER-7", "DUMPLINGS", "Six for the price of five")
TEA = merchant_offer("MER-8", "TEA", "A second cup")
TEA_PATH = f"{MERCHANTS_PATH}/MER-8/offers/TEA"
NO_NAME = merchant_offer("MER-9", "SALAD", "")


Serve = Annotated[
    bool, typer.Option("--serve", help="Then keep the server with all of it, for the console; Ctrl-C ends it.")
]


def demo(*, serve: Serve = False, as_json: AsJson = False) -> None:
    """Play a day in the ledger's life on a temporary ledger."""
    if serve and as_json:
        exit_with_error("--serve: goes on until it is ended, and can't be given beside --json.", exit_code=2)
    try:
        with open_stage() as stage:
            day = Day(stage, aloud=not as_json)
            if not as_json:
                tell_start()
            _play(day)
            if serve:
                _keep_serving(stage)
                return
    except UnexpectedReply as error:
        exit_with_error(f"{error}.")
    except DemoNotPossible as error:
        exit_with_error(f"The demo can't be played: {error}.")
    if as_json:
        print_json({"steps": day.steps})
    else:
        tell_end()


def _keep_serving(stage: Stage) -> None:
    tell_console([(who, stage.sign_in_link(stage.create_token(*token))) for who, token in VISITORS])
    with until_interrupted():
        Event().wait()


def _play(day: Day) -> None:
    _let_in(day)
    _send_first_offers(day)
    _synchronize_again(day)
    _bring_back(day)
    _send_one_wrong(day)
    request = batch(Operation.INSERT, TP_3_CHANGED)
    run = _lose_a_reply(day, request)
    _send_again(day, request, run)
    _change_one_by_one(day)
    _send_the_daily_file(day)
    redemption_story.play(day, HARBOR, (TEA_PATH, "TEA"))
    _audit(day, run)


def _let_in(day: Day) -> None:
    day.begin(
        "Two partners get a token",
        "Tidepool, an agency, and Harbor, a card-linked-offer network, may now send offers, and an auditor may read"
        " everything; whatever they do is recorded under the names of their tokens. (Normally a partner has one"
        " Synchronize a day and one Insert an hour; 0 lifts these limits.)",
    )
    for partner in ("tidepool", "harbor"):
        day.set_partner(partner)
    day.create_token(TIDEPOOL, "tidepool-feed", Role.PARTNER, "tidepool")
    day.create_token(HARBOR, "harbor-feed", Role.PARTNER, "harbor")
    day.create_token(AUDITOR, "auditor", Role.AUDITOR)


def _send_first_offers(day: Day) -> None:
    day.begin(
        "The first offers arrive",
        'A Synchronize says "these are all my offers", an Insert only "take these too"; each batch becomes a run, and'
        " each change that it makes an event, stored for good.",
    )
    day.send(TIDEPOOL, batch(Operation.SYNCHRONIZE, TP_1, TP_2, TP_3), created=["TP-1", "TP-2", "TP-3"])
    day.send(HARBOR, batch(Operation.INSERT, HB_1, HB_2), created=["HB-1", "HB-2"])


def _synchronize_again(day: Day) -> None:
    day.begin(
        "The next Synchronize",
        "Tidepool changes one headline, repeats one offer and leaves one out: the ledger works out what that means for"
        " each of them, and Harbor's offers are untouched.",
    )
    request = batch(Operation.SYNCHRONIZE, TP_1_CHANGED, TP_2)
    day.send(TIDEPOOL, request, updated=["TP-1"], unchanged=["TP-2"], paused=["TP-3"])
    page = day.get(HARBOR, OFFERS_PATH, lambda page: of_offers(page["items"]))
    day.require("Harbor's offers", _states(page), {"HB-1": "active, version 1", "HB-2": "active, version 1"})


def _bring_back(day: Day) -> None:
    day.begin(
        "A paused offer comes back",
        "An Insert that names it resumes it, so that what was left out by mistake is soon live again: as the same"
        " offer, with its history.",
    )
    data = day.send(TIDEPOOL, batch(Operation.INSERT, TP_3), updated=["TP-3"])
    day.require("the message", data["updatedOffers"][0]["messages"], [RESUMED])


def _send_one_wrong(day: Day) -> None:
    day.begin(
        "One offer is wrong",
        "One dailyCap is sent as text: the reply names the field, the other offers go through, and the wrong offer"
        " stays as it was, neither changed nor paused, so that no mistake takes an offer down.",
    )
    request = batch(Operation.SYNCHRONIZE, TP_1_WRONG, TP_3, TP_4)
    data = day.send(TIDEPOOL, request, created=["TP-4"], unchanged=["TP-3"], paused=["TP-2"], failed=["TP-1"])
    messages = data["failedOffers"][0]["messages"]
    day.require("the message", messages, ["offerData[0].dailyCap: must be an integer"])
    page = day.get(TIDEPOOL, f"{OFFERS_PATH}?externalId=TP-1", lambda page: of_offers(page["items"]))
    day.require("the offer", _states(page), {"TP-1": "active, version 2"})


def _lose_a_reply(day: Day, request: dict[str, Any]) -> dict[str, Any]:
    day.begin(
        "A reply is lost",
        "Tidepool does not hear what became of its request, and need not guess: it asks for the run by the id that it"
        " gave the request until the run is completed, and then what became of each offer.",
    )
    run = day.send_in_vain(TIDEPOOL, request)
    path = f"{RUNS_PATH}/{run['runId']}/items"
    items = day.get(TIDEPOOL, path, lambda page: of_items(page["items"]))["items"]
    told = [(item["externalId"], item["outcome"]) for item in items]
    day.require("the run's items", told, [("TP-3", "updated")])
    return run


def _send_again(day: Day, request: dict[str, Any], run: dict[str, Any]) -> None:
    day.begin(
        "The same request again",
        "Sending it again would have been as safe: the reply is the stored one, and the ledger is still at the"
        " position (its number of events) where the run left it, so nothing was done twice.",
    )
    data = day.send(TIDEPOOL, request, again=True, updated=["TP-3"])
    day.require("the run", data["runId"], run["runId"])
    page = day.get(AUDITOR, f"{OFFERS_PATH}?limit=1", lambda page: [f"position {page['position']}"])
    day.require("the position", page["position"], run["position"])


def _change_one_by_one(day: Day) -> None:
    day.begin(
        "One offer at a time",
        "Harbor's merchants change often, so it sends each of their offers by itself: as it shall be, or that it shall be"
        " gone. Every request leaves a trace; one that changes nothing leaves nothing else.",
    )
    day.change(HARBOR, "PUT", NOODLES_PATH, NOODLES, TraceOutcome.CREATED)
    day.change(HARBOR, "PUT", NOODLES_PATH, NOODLES, TraceOutcome.UNCHANGED)
    day.change(HARBOR, "DELETE", NOODLES_PATH, None, TraceOutcome.DELETED)


def _send_the_daily_file(day: Day) -> None:
    day.begin(
        "The daily file",
        "Once a day Harbor sends all of its merchants' offers in a file. What a record says is checked against what the"
        " ledger knows: an offer that is deleted comes back, one that the file forgets is told of, and a record that is"
        " not in order keeps no other from its way. The same file again would change nothing.",
    )
    day.change(HARBOR, "PUT", TEA_PATH, TEA, TraceOutcome.CREATED)
    records = (("UPSERT", NOODLES), ("NEW", DUMPLINGS), ("UPDATED", NO_NAME))
    outcomes = {"NOODLES": "restored", "DUMPLINGS": "created", "SALAD": "failed", "TEA": "discrepancy"}
    day.send_file(HARBOR, offers_file(*records), outcomes)


def _audit(day: Day, run: dict[str, Any]) -> None:
    day.begin(
        "The audit",
        "What is live, and how did TP-3 come to be as it is? Every change is there, with its time, its sender, its run"
        " and the fields before and after; and the ledger proves that it still says what was recorded.",
    )
    page = day.get(AUDITOR, OFFERS_PATH, lambda page: of_inventory(page["items"]))
    expected = {
        "TP-1": "active, version 2",
        "TP-2": "paused, version 2",
        "TP-3": "active, version 4",
        "HB-1": "active, version 1",
        "HB-2": "active, version 1",
        "TP-4": "active, version 1",
        "NOODLES": "active, version 3",
        "TEA": "deleted, version 2",
        "DUMPLINGS": "active, version 1",
    }
    day.require("the inventory", _states(page), expected)
    (uid,) = (offer["offerUid"] for offer in page["items"] if offer["externalId"] == "TP-3")
    events = day.get(AUDITOR, f"{OFFERS_PATH}/{uid}/history", lambda page: of_history(page["items"]))["items"]
    told = [event["type"] for event in events]
    day.require("the history", told, ["OfferCreated", "OfferPaused", "OfferResumed", "OfferUpdated"])
    day.require("the last change's run", events[-1]["runId"], run["runId"])
    day.verify()


def _states(page: dict[str, Any]) -> dict[str, str]:
    return {offer["externalId"]: f"{offer['status']}, version {offer['version']}" for offer in page["items"]}
