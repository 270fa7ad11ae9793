"""Messages about items: the same in the reply, its replay, the items of the run and the console."""

from api.intake.quoted_integers import QUOTED
from api.parsing.strict_json import TOO_MANY_DIGITS
from domain.runs.batch_reconciliation import SAME_DATA
from domain.values import Role
from tests.support.calls.console_pages import ConsoleReader
from tests.support.calls.stalled_runs import run_path
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

HINT = "offerData[0].hedline: unknown; did you mean headline?"
ITEMS = [
    item("Q", dailyCap="10"),
    item("H", hedline="Open a jar", category="Finance"),
    item("L", snowflake=2**60),
    item("L", snowflake=2**60),
    item("L", snowflake=2**60),
    item("F", snowflake=10**40),
    7,
]
EXPECTED = [
    ("created", "Q", [f"offerData[0].dailyCap: {QUOTED}"]),
    ("created", "H", [HINT]),
    ("created", "L", ["Sent 3 times"]),
    ("failed", "F", [f"offerData[0].snowflake: {TOO_MANY_DIGITS}"]),
    ("failed", "", ["offers[6]: must be an object"]),
]


def test_messages_are_the_same_wherever_the_outcome_is_shown(partner: Caller, call: Call, token: MakeToken) -> None:
    sent = body(batch("Insert", ITEMS))
    reply = partner.send(sent)
    data = reply.json()["data"]
    listed = {"created": data["createdOffers"], "failed": data["failedOffers"]}
    assert [(kind, o["externalId"], o["messages"]) for kind, found in listed.items() for o in found] == EXPECTED
    assert data["counts"] == {"created": 3, "updated": 0, "unchanged": 0, "paused": 0, "failed": 2}
    assert partner.send(sent).content == reply.content
    items = partner.get(f"{run_path(data['runId'])}/items").json()["items"]
    assert [(o["outcome"], o["externalId"], o["messages"]) for o in items] == EXPECTED
    page = ConsoleReader(call, token(Role.OPERATOR)).read(f"/runs/{data['runId']}")
    assert [message for _, _, messages in EXPECTED for message in messages if message not in page] == []
    assert "no readable id" in page


def test_messages_are_sent_again_for_unchanged_items(partner: Caller) -> None:
    partner.send(body(batch("Insert", ITEMS)))
    data = partner.send(body(batch("Insert", ITEMS))).json()["data"]
    assert [(o["externalId"], o["messages"]) for o in data["notChangedOffers"]] == [
        (external_id, [SAME_DATA, *messages]) for kind, external_id, messages in EXPECTED if kind == "created"
    ]
