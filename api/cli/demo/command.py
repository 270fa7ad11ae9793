"""offer-ledger demo"""

from threading import Event
from typing import Any

from api.cli.demo import redemption_story
from api.cli.demo.client import Day, UnexpectedReply, batch, merchant_offer, offer, offers_file
from api.cli.demo.environment import DemoNotPossible, Stage, open_stage
from api.cli.demo.narration import (
    history_lines,
    inventory_lines,
    item_lines,
    offer_lines,
    print_console_links,
    print_end,
    print_start,
)
from api.cli.messages import exit_with_error
from api.cli.output import print_json, until_interrupted
from api.http.paths import MERCHANTS_PATH, RUNS_PATH
from api.settings import require_known_variables
from domain.runs.batch_reconciliation import RESUMED
from domain.single_requests.request import TraceOutcome
from domain.values import Operation, Role

TIDEPOOL, HARBOR, AUDITOR = "Tidepool", "Harbor", "Auditor"
TIDEPOOL_FEED = "tidepool-feed"
STORY_DAYS, MORE_DAYS = 46, 30
OFFERS_PATH = "/api/v1/offers"
CONSOLE_TOKENS = (
    ("Operator: reads everything, changes settings and tokens", ("operator", Role.OPERATOR, None)),
    ("Auditor: reads everything, changes nothing", ("audit-desk", Role.AUDITOR, None)),
    ("Tidepool: reads its own offers and runs", ("tidepool-desk", Role.PARTNER, "tidepool")),
    ("Publisher: checks which purchases are owed a reward", ("publisher-desk", Role.PUBLISHER, None)),
)
"""Descriptions of the console's users, and the tokens for their sign-in links."""

TP_1 = offer("TP-1", "Save for 900 points")
TP_1_CHANGED = offer("TP-1", "Save for 1,200 points")
TP_1_WRONG = offer("TP-1", "Save for 9,000 points", dailyCap="ten")
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


def play_demo(*, serve: bool, host: str, port: int, as_json: bool) -> None:
    require_known_variables()
    if serve and as_json:
        exit_with_error("--serve: cannot be combined with --json.", exit_code=2)
    try:
        with open_stage(host, port, STORY_DAYS + MORE_DAYS) as stage:
            day = Day(stage, is_printed=not as_json)
            if not as_json:
                print_start()
            _play(day)
            if serve:
                _keep_serving(stage)
                return
    except UnexpectedReply as error:
        exit_with_error(f"{error}.")
    except DemoNotPossible as error:
        exit_with_error(f"The demo cannot run: {error}.")
    if as_json:
        print_json({"steps": day.steps})
    else:
        print_end()


def _keep_serving(stage: Stage) -> None:
    _send_daily_batches(stage)
    links = [(user, stage.sign_in_link(stage.create_token(*token))) for user, token in CONSOLE_TOKENS]
    print_console_links(links)
    with until_interrupted():
        Event().wait()


def _send_daily_batches(stage: Stage) -> None:
    """Sends a Synchronize for each day up to today, so that the charts of the console show more than one day."""
    for day in range(MORE_DAYS):
        stage.clock.skip(1)
        offers = [
            offer(f"TP-{number}", f"Offer {number} of day {day // 7 * 7}")
            for number in range(1, 4 + day % 7 + day // 4)
        ]
        stage.send(TIDEPOOL_FEED, batch(Operation.SYNCHRONIZE, *offers))


def _play(day: Day) -> None:
    _create_access(day)
    _send_first_offers(day)
    _send_second_synchronize(day)
    _resume_offer(day)
    _send_invalid_offer(day)
    request = batch(Operation.INSERT, TP_3_CHANGED)
    run = _lose_reply(day, request)
    _repeat_request(day, request, run)
    _send_single_offers(day)
    _send_daily_file(day)
    redemption_story.play(day, HARBOR, (TEA_PATH, "TEA"))
    _audit(day, run)


def _create_access(day: Day) -> None:
    day.begin(
        "Two partners get a token",
        "Tidepool is an agency, and Harbor is a card-linked-offer network. Their tokens allow them to send offers. An"
        " auditor may read everything. The ledger records each change under the name of the token. (By default, a"
        " partner has one Synchronize per day and one Insert per hour; 0 removes these limits.)",
    )
    for partner in ("tidepool", "harbor"):
        day.set_partner(partner)
    day.create_token(TIDEPOOL, TIDEPOOL_FEED, Role.PARTNER, "tidepool")
    day.create_token(HARBOR, "harbor-feed", Role.PARTNER, "harbor")
    day.create_token(AUDITOR, "auditor", Role.AUDITOR)


def _send_first_offers(day: Day) -> None:
    day.begin(
        "The first offers arrive",
        "A Synchronize sends all offers of a partner. An Insert sends additional offers. Each batch becomes a run, and"
        " each change of the run becomes an event that is never changed or removed.",
    )
    day.send(TIDEPOOL, batch(Operation.SYNCHRONIZE, TP_1, TP_2, TP_3), created=["TP-1", "TP-2", "TP-3"])
    day.send(HARBOR, batch(Operation.INSERT, HB_1, HB_2), created=["HB-1", "HB-2"])


def _send_second_synchronize(day: Day) -> None:
    day.begin(
        "The next Synchronize",
        "Tidepool changes one headline, repeats one offer and leaves one out. The ledger updates the first offer,"
        " leaves the second one unchanged and pauses the third one. Harbor's offers do not change.",
    )
    request = batch(Operation.SYNCHRONIZE, TP_1_CHANGED, TP_2)
    day.send(TIDEPOOL, request, updated=["TP-1"], unchanged=["TP-2"], paused=["TP-3"])
    page = day.get(HARBOR, OFFERS_PATH, lambda page: offer_lines(page["items"]))
    day.require("Harbor's offers", _states(page), {"HB-1": "active, version 1", "HB-2": "active, version 1"})


def _resume_offer(day: Day) -> None:
    day.begin(
        "A paused offer comes back",
        "Tidepool sends the paused offer in an Insert, and the ledger resumes it. It is the same offer, with its whole"
        " history. So an offer that was left out by mistake is soon live again.",
    )
    data = day.send(TIDEPOOL, batch(Operation.INSERT, TP_3), updated=["TP-3"])
    day.require("the message", data["updatedOffers"][0]["messages"], [RESUMED])


def _send_invalid_offer(day: Day) -> None:
    day.begin(
        "One offer is invalid",
        "One dailyCap is a word instead of a number. The reply names the field, and the other offers are processed. The"
        " invalid offer stays as it was: it is neither changed nor paused. So a mistake never"
        " makes an offer unavailable.",
    )
    request = batch(Operation.SYNCHRONIZE, TP_1_WRONG, TP_3, TP_4)
    data = day.send(TIDEPOOL, request, created=["TP-4"], unchanged=["TP-3"], paused=["TP-2"], failed=["TP-1"])
    messages = data["failedOffers"][0]["messages"]
    day.require("the message", messages, ["offerData[0].dailyCap: must be an integer"])
    page = day.get(TIDEPOOL, f"{OFFERS_PATH}?externalId=TP-1", lambda page: offer_lines(page["items"]))
    day.require("the offer", _states(page), {"TP-1": "active, version 2"})


def _lose_reply(day: Day, request: dict[str, Any]) -> dict[str, Any]:
    day.begin(
        "A reply is lost",
        "Tidepool sends a batch, but the connection breaks before the reply. Tidepool queries the run by the id of its"
        " request until the run is completed. Then it reads the outcome of each offer.",
    )
    run = day.send_without_reply(TIDEPOOL, request)
    path = f"{RUNS_PATH}/{run['runId']}/items"
    items = day.get(TIDEPOOL, path, lambda page: item_lines(page["items"]))["items"]
    outcomes = [(item["externalId"], item["outcome"]) for item in items]
    day.require("the items of the run", outcomes, [("TP-3", "updated")])
    return run


def _repeat_request(day: Day, request: dict[str, Any], run: dict[str, Any]) -> None:
    day.begin(
        "The request is repeated",
        "Tidepool can also repeat the request. The reply is the stored one. The position of the ledger (its number of"
        " events) is the same as after the run: nothing was done twice.",
    )
    data = day.send(TIDEPOOL, request, is_repeated=True, updated=["TP-3"])
    day.require("the run", data["runId"], run["runId"])
    page = day.get(AUDITOR, f"{OFFERS_PATH}?limit=1", lambda page: [f"position {page['position']}"])
    day.require("the position", page["position"], run["position"])


def _send_single_offers(day: Day) -> None:
    day.begin(
        "One offer at a time",
        "Harbor's merchants change their offers often, so Harbor sends each offer in a single request: a PUT with the"
        " new content, or a DELETE. Each request has a trace with its outcome. A request that changes nothing adds no"
        " event.",
    )
    day.change(HARBOR, "PUT", NOODLES_PATH, NOODLES, TraceOutcome.CREATED)
    day.change(HARBOR, "PUT", NOODLES_PATH, NOODLES, TraceOutcome.UNCHANGED)
    day.change(HARBOR, "DELETE", NOODLES_PATH, None, TraceOutcome.DELETED)


def _send_daily_file(day: Day) -> None:
    day.begin(
        "The daily file",
        "Once a day, Harbor sends all offers of its merchants in a file. The ledger compares each record with its own"
        " state. It restores a deleted offer, creates a new one, and reports an active offer that is missing from the"
        " file. An invalid record does not affect the others. Sending the file a second time would change nothing.",
    )
    day.change(HARBOR, "PUT", TEA_PATH, TEA, TraceOutcome.CREATED)
    records = (("UPSERT", NOODLES), ("NEW", DUMPLINGS), ("UPDATED", NO_NAME))
    outcomes = {"NOODLES": "restored", "DUMPLINGS": "created", "SALAD": "failed", "TEA": "discrepancy"}
    day.send_file(HARBOR, offers_file(*records), outcomes)


def _audit(day: Day, run: dict[str, Any]) -> None:
    day.begin(
        "The audit",
        "The auditor lists all offers and reads the history of TP-3. Each change has its time, its sender, its run, and"
        " the fields before and after. At the end, the operator verifies that the ledger still has what was recorded.",
    )
    page = day.get(AUDITOR, OFFERS_PATH, lambda page: inventory_lines(page["items"]))
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
    events = day.get(AUDITOR, f"{OFFERS_PATH}/{uid}/history", lambda page: history_lines(page["items"]))["items"]
    types = [event["type"] for event in events]
    day.require("the history", types, ["OfferCreated", "OfferPaused", "OfferResumed", "OfferUpdated"])
    day.require("the run of the last change", events[-1]["runId"], run["runId"])
    day.verify()


def _states(page: dict[str, Any]) -> dict[str, str]:
    return {offer["externalId"]: f"{offer['status']}, version {offer['version']}" for offer in page["items"]}
