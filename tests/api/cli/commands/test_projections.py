"""offer-ledger projections: what they show, that they can be made again, and that a change by hand is found."""

import pytest

from api.settings import Settings
from projections.projector import PROJECTIONS
from tests.support.engine import IS_POSTGRES
from tests.support.examples import PARTNER
from tests.support.processes.shell import Ended, Run, WriteBatch, change_by_hand, require_done, require_usage_sentence

ADD_AN_OFFER = (
    "INSERT INTO inventory (offer_id, partner, channel, external_id, status, version, content_version, content_digest,"
    " searched_ids, searched_names, created_commit, updated_commit, status_commit)"
    " VALUES (99, 'tidepool', 'custom', 'TP-99', 'active', 1, 1, 'd', '', '', 3, 3, 3)"
)
CHANGES = [
    ("UPDATE inventory SET status = 'paused' WHERE external_id = 'TP-1'", "inventory", "TP-1"),
    ("DELETE FROM inventory WHERE external_id = 'TP-2'", "inventory", "TP-2"),
    (ADD_AN_OFFER, "inventory", "TP-99"),
    ("UPDATE partners SET insert_per_hour = 77", "partners", PARTNER),
    ("DELETE FROM partners", "partners", PARTNER),
    ("INSERT INTO partners VALUES (99, 'smuggler', 0, 0, 10, NULL, 'report', 45, 0, 1, 1)", "partners", "smuggler"),
    ("UPDATE tokens SET role = 'operator'", "tokens", "books"),
    ("DELETE FROM tokens", "tokens", "books"),
    ("INSERT INTO tokens VALUES (99, 'smuggler', 'operator', NULL, 'ff', 0, NULL, 1, NULL)", "tokens", "smuggler"),
]
CHANGED_TEXT = (
    "convert_to(replace(convert_from(state, 'UTF8'), 'Open a jar', 'Open a door'), 'UTF8')"
    if IS_POSTGRES
    else "CAST(replace(CAST(state AS TEXT), 'Open a jar', 'Open a door') AS BLOB)"
)
CHANGE_AN_EVENT = f"UPDATE events SET state = {CHANGED_TEXT} WHERE topic = 'OfferCreated' AND ordinal = 0"
EVERY_CHANGE = pytest.mark.parametrize(
    ("statement", "projection", "name"), CHANGES, ids=[f"{c[1]}-{c[0].split()[0].lower()}" for c in CHANGES]
)


@pytest.fixture
def kept(partnered: Run, write_batch: WriteBatch) -> Run:
    """`run`, with one partner, one token and two offers."""
    require_done(partnered("tokens", "create", "--role", "auditor", "--name", "books"))
    require_done(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    return partnered


def require_contradiction(ended: Ended, *named: str) -> None:
    assert ended.exit_code == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "contradicts" in ended.stderr
    for name in named:
        assert name in ended.stdout


# status


def test_status_tells_the_rows_of_each_projection_and_the_position_of_all(kept: Run) -> None:
    told = kept("projections", "status", "--json").json
    assert [item["name"] for item in told["items"]] == [projection.name for projection in PROJECTIONS]
    assert (told["items"][0], told["position"]) == ({"name": "inventory", "rows": 2}, 4)


def test_status_is_a_table_with_one_line_for_each_projection(kept: Run) -> None:
    head, first, *others, last = require_done(kept("projections", "status")).splitlines()
    assert [head.split(), first.split()] == [["projection", "rows"], ["inventory", "2"]]
    assert len(others) == len(PROJECTIONS) - 1
    assert last == "The ledger is at position 4."


def test_a_projection_whose_table_is_missing_is_told_with_its_remedy(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, "DROP TABLE inventory")
    ended = kept("inventory")
    assert ended.exit_code == 1
    assert ended.stderr.endswith(" offer-ledger projections rebuild --only inventory\n")
    require_done(kept("projections", "rebuild", "--only", "inventory"))
    require_done(kept("projections", "verify"))


def test_a_projection_whose_table_is_missing_is_not_built(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, "DROP TABLE tokens")
    assert ["tokens", "not", "built"] in [line.split() for line in kept("projections", "status").stdout.splitlines()]
    items = kept("projections", "status", "--json").json["items"]
    assert {"name": "tokens", "rows": None} in items
    require_contradiction(kept("projections", "verify"), 'tokens: found {"built":false}, expected {"built":true}')


# verify


def test_a_good_ledger_is_said_to_be_good(kept: Run) -> None:
    assert require_done(kept("projections", "verify")) == "Every commit and every projection is what the events say.\n"


def test_json_of_a_good_ledger_has_no_differences(kept: Run) -> None:
    assert kept("projections", "verify", "--json").json == {"equal": True, "differences": []}


def test_an_empty_ledger_is_good(run: Run) -> None:
    require_done(run("projections", "verify"))


@EVERY_CHANGE
def test_a_row_that_was_changed_by_hand_is_named(
    kept: Run, settings: Settings, statement: str, projection: str, name: str
) -> None:
    change_by_hand(settings, statement)
    require_contradiction(kept("projections", "verify"), f"{projection} ", name)


def test_a_commit_whose_event_was_changed_by_hand_is_named(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, CHANGE_AN_EVENT)
    require_contradiction(kept("projections", "verify"), "commit 3")


def test_an_event_that_can_no_longer_be_read_is_a_contradiction(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE events SET state = CAST('nonsense' AS BLOB) WHERE topic = 'OfferCreated'")
    require_contradiction(kept("projections", "verify"), "commit 3")


def test_json_tells_where_the_difference_is_and_what_was_expected(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    ended = kept("projections", "verify", "--json")
    require_contradiction(ended)
    told = ended._replace(exit_code=0).json
    assert told["equal"] is False
    (difference,) = told["differences"]
    assert difference["where"].startswith("partners ")
    assert (difference["found"]["insert_per_hour"], difference["expected"]["insert_per_hour"]) == (77, 0)


def test_verify_changes_nothing(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    kept("projections", "verify")
    require_contradiction(kept("projections", "verify"))
    assert kept("partners", "show", PARTNER, "--json").json["insertPerHour"] == 77


# rebuild


def test_rebuild_says_what_it_has_done(kept: Run) -> None:
    assert require_done(kept("projections", "rebuild")) == f"Rebuilt {len(PROJECTIONS)} projections from 4 events.\n"


def test_json_of_a_rebuild_tells_the_position_reached_and_what_was_rebuilt(kept: Run) -> None:
    names = [projection.name for projection in PROJECTIONS]
    told = kept("projections", "rebuild", "--json").json
    assert told == {"position": 4, "rebuilt": names, "differences": []}


@EVERY_CHANGE
def test_rebuild_mends_a_row_that_was_changed_by_hand(
    kept: Run, settings: Settings, statement: str, projection: str, name: str
) -> None:
    shown = [require_done(kept(*command)) for command in (("inventory",), ("partners", "list"), ("tokens", "list"))]
    change_by_hand(settings, statement)
    require_done(kept("projections", "rebuild"))
    require_done(kept("projections", "verify"))
    assert [require_done(kept(*c)) for c in (("inventory",), ("partners", "list"), ("tokens", "list"))] == shown
    assert (name in "".join(shown)) is (not statement.startswith("INSERT")), projection


def test_what_was_mended_is_told(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    mended, done = require_done(kept("projections", "rebuild")).splitlines()
    assert mended.startswith("mended: partners partner_id=")
    assert mended.endswith('found {"insert_per_hour":77}, expected {"insert_per_hour":0}')
    assert done == f"Rebuilt {len(PROJECTIONS)} projections from 4 events."


def test_json_of_a_rebuild_tells_what_was_mended(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    (difference,) = kept("projections", "rebuild", "--json").json["differences"]
    assert difference["where"].startswith("partners ")
    assert (difference["found"], difference["expected"]) == ({"insert_per_hour": 77}, {"insert_per_hour": 0})


def test_only_some_can_be_rebuilt(kept: Run, settings: Settings) -> None:
    for statement in ("UPDATE partners SET rps = 77", "DELETE FROM tokens"):
        change_by_hand(settings, statement)
    only = kept("projections", "rebuild", "--only", "tokens", "--only", "inventory", "--json").json
    assert only["rebuilt"] == ["inventory", "tokens"]
    require_contradiction(kept("projections", "verify"), "partners ")
    assert require_done(kept("projections", "rebuild", "--only", "partners")).endswith(
        "Rebuilt partners from 4 events.\n"
    )
    require_done(kept("projections", "verify"))


def test_a_projection_that_nobody_knows_is_a_usage_error_that_names_those_there_are(kept: Run) -> None:
    ended = kept("projections", "rebuild", "--only", "tokens", "--only", "weather")
    require_usage_sentence(ended, "--only", "'weather'", *(projection.name for projection in PROJECTIONS))


def test_rebuild_adds_no_event(kept: Run) -> None:
    kept("projections", "rebuild")
    assert kept("inventory", "--json").json["position"] == 4


def test_rebuild_does_not_hide_that_an_event_was_changed(kept: Run, settings: Settings) -> None:
    change_by_hand(settings, CHANGE_AN_EVENT)
    require_done(kept("projections", "rebuild"))
    require_contradiction(kept("projections", "verify"), "commit 3")


def test_an_event_that_can_no_longer_be_read_stops_a_rebuild_and_nothing_is_lost(kept: Run, settings: Settings) -> None:
    before = require_done(kept("projections", "status"))
    change_by_hand(settings, "UPDATE events SET state = CAST('nonsense' AS BLOB) WHERE topic = 'OfferCreated'")
    ended = kept("projections", "rebuild")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert require_done(kept("projections", "status")) == before
