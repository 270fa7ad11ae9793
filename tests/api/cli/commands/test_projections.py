"""`offer-ledger projections`: status, rebuild, and the detection of rows that were changed by hand."""

import json
from contextlib import closing
from typing import Any

import pytest

from api.settings import Settings
from domain.store.sqlite.connections import PAGE_BYTES
from domain.store.sqlite.driver import connect
from projections.projector import PROJECTIONS
from tests.support.engine import IS_POSTGRES, only_sqlite
from tests.support.examples import PARTNER
from tests.support.processes.shell import (
    CommandResult,
    Run,
    WriteBatch,
    change_by_hand,
    require_success,
    require_usage_sentence,
)

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
def stocked(partnered: Run, write_batch: WriteBatch) -> Run:
    """Returns `run` on a ledger with one partner, one token and two offers."""
    require_success(partnered("tokens", "create", "--role", "auditor", "--name", "books"))
    require_success(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    return partnered


def require_inconsistent(ended: CommandResult, *named: str) -> None:
    assert ended.exit_code == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "inconsistent" in ended.stderr
    for name in named:
        assert name in ended.stdout


# status


def test_json_of_the_status_has_row_counts_and_the_position(stocked: Run) -> None:
    document = stocked("projections", "status", "--json").json
    assert [item["name"] for item in document["items"]] == [projection.name for projection in PROJECTIONS]
    assert (document["items"][0], document["position"]) == ({"name": "inventory", "rows": 2}, 4)


def test_status_has_one_line_for_each_projection(stocked: Run) -> None:
    head, first, *others, last = require_success(stocked("projections", "status")).splitlines()
    assert [head.split(), first.split()] == [["projection", "rows"], ["inventory", "2"]]
    assert len(others) == len(PROJECTIONS) - 1
    assert last == "The ledger is at position 4."


def test_error_for_a_missing_table_names_the_rebuild_command(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, "DROP TABLE inventory")
    ended = stocked("inventory")
    assert ended.exit_code == 1
    assert ended.stderr.endswith(" offer-ledger projections rebuild --only inventory\n")
    require_success(stocked("projections", "rebuild", "--only", "inventory"))
    require_success(stocked("projections", "verify"))


def test_projection_without_a_table_is_not_built(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, "DROP TABLE tokens")
    assert ["tokens", "not", "built"] in [line.split() for line in stocked("projections", "status").stdout.splitlines()]
    items = stocked("projections", "status", "--json").json["items"]
    assert {"name": "tokens", "rows": None} in items
    require_inconsistent(stocked("projections", "verify"), 'tokens: found {"built":false}, expected {"built":true}')


# verify


def test_verify_confirms_a_consistent_ledger(stocked: Run) -> None:
    first, *others = require_success(stocked("projections", "verify")).splitlines()
    assert first == "All commits and all projections match the events."
    assert [line.partition(":")[0] for line in others] == ["Not checked"] * IS_POSTGRES


def test_json_of_a_consistent_ledger_has_no_differences(stocked: Run) -> None:
    document = stocked("projections", "verify", "--json").json
    reasons = [check.pop("reason") for check in document["notChecked"]]
    not_checked = [{"what": "indexes and tables of PostgreSQL"}] if IS_POSTGRES else []
    assert document == {"equal": True, "damaged": False, "differences": [], "notChecked": not_checked}
    assert all("amcheck" in reason for reason in reasons)


@only_sqlite
def test_verify_reports_a_damaged_index(stocked: Run, settings: Settings) -> None:
    damage_index(settings, "commits_by_actor")
    ended = stocked("projections", "verify", "--json")
    assert ended.exit_code == 1
    assert ended.stderr == "The database is damaged. Restore a backup.\n"
    document = json.loads(ended.stdout)
    assert (document["equal"], document["damaged"]) == (False, True)
    assert document["differences"][0]["where"] == "database"
    assert document["notChecked"] == [{"what": "the content of the tables", "reason": "the database is damaged"}]


@only_sqlite
def test_verify_reports_a_damaged_schema_in_one_sentence(stocked: Run, settings: Settings) -> None:
    with settings.database.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 8)
    ended = stocked("projections", "verify")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("The database of the ledger is damaged: database disk image is malformed: ")
    assert len(ended.stderr.splitlines()) == 1


def damage_index(settings: Settings, name: str) -> None:
    """Overwrites the header of the first page of an index."""
    with closing(connect(settings.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root: Any = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).get
    with settings.database.open("r+b") as file:
        file.seek((root - 1) * PAGE_BYTES)
        file.write(b"\xff" * 8)


def test_empty_ledger_is_consistent(run: Run) -> None:
    require_success(run("projections", "verify"))


@EVERY_CHANGE
def test_verify_names_a_row_changed_by_hand(
    stocked: Run, settings: Settings, statement: str, projection: str, name: str
) -> None:
    change_by_hand(settings, statement)
    require_inconsistent(stocked("projections", "verify"), f"{projection} ", name)


def test_verify_names_the_commit_of_an_event_changed_by_hand(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, CHANGE_AN_EVENT)
    require_inconsistent(stocked("projections", "verify"), "commit 3")


def test_verify_reports_an_unreadable_event(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE events SET state = CAST('nonsense' AS BLOB) WHERE topic = 'OfferCreated'")
    require_inconsistent(stocked("projections", "verify"), "commit 3")


def test_json_of_a_difference_has_the_expected_values(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    ended = stocked("projections", "verify", "--json")
    require_inconsistent(ended)
    document = ended._replace(exit_code=0).json
    assert document["equal"] is False
    (difference,) = document["differences"]
    assert difference["where"].startswith("partners ")
    assert (difference["found"]["insert_per_hour"], difference["expected"]["insert_per_hour"]) == (77, 0)


def test_verify_changes_nothing(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    stocked("projections", "verify")
    require_inconsistent(stocked("projections", "verify"))
    assert stocked("partners", "show", PARTNER, "--json").json["insertPerHour"] == 77


# rebuild


def test_rebuild_prints_what_it_rebuilt(stocked: Run) -> None:
    assert (
        require_success(stocked("projections", "rebuild")) == f"Rebuilt {len(PROJECTIONS)} projections from 4 events.\n"
    )


def test_json_of_a_rebuild_has_the_position_and_the_projections(stocked: Run) -> None:
    names = [projection.name for projection in PROJECTIONS]
    document = stocked("projections", "rebuild", "--json").json
    assert document == {"position": 4, "rebuilt": names, "differences": []}


@EVERY_CHANGE
def test_rebuild_corrects_a_row_changed_by_hand(
    stocked: Run, settings: Settings, statement: str, projection: str, name: str
) -> None:
    shown = [
        require_success(stocked(*command)) for command in (("inventory",), ("partners", "list"), ("tokens", "list"))
    ]
    change_by_hand(settings, statement)
    require_success(stocked("projections", "rebuild"))
    require_success(stocked("projections", "verify"))
    assert [require_success(stocked(*c)) for c in (("inventory",), ("partners", "list"), ("tokens", "list"))] == shown
    assert (name in "".join(shown)) is (not statement.startswith("INSERT")), projection


def test_rebuild_prints_corrected_rows(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    corrected, done = require_success(stocked("projections", "rebuild")).splitlines()
    assert corrected.startswith("corrected: partners partner_id=")
    assert corrected.endswith('found {"insert_per_hour":77}, expected {"insert_per_hour":0}')
    assert done == f"Rebuilt {len(PROJECTIONS)} projections from 4 events."


def test_json_of_a_rebuild_has_the_corrected_rows(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE partners SET insert_per_hour = 77")
    (difference,) = stocked("projections", "rebuild", "--json").json["differences"]
    assert difference["where"].startswith("partners ")
    assert (difference["found"], difference["expected"]) == ({"insert_per_hour": 77}, {"insert_per_hour": 0})


def test_only_option_rebuilds_the_named_projections(stocked: Run, settings: Settings) -> None:
    for statement in ("UPDATE partners SET rps = 77", "DELETE FROM tokens"):
        change_by_hand(settings, statement)
    only = stocked("projections", "rebuild", "--only", "tokens", "--only", "inventory", "--json").json
    assert only["rebuilt"] == ["inventory", "tokens"]
    require_inconsistent(stocked("projections", "verify"), "partners ")
    assert require_success(stocked("projections", "rebuild", "--only", "partners")).endswith(
        "Rebuilt partners from 4 events.\n"
    )
    require_success(stocked("projections", "verify"))


def test_unknown_projection_is_a_usage_error_that_names_all_projections(stocked: Run) -> None:
    ended = stocked("projections", "rebuild", "--only", "tokens", "--only", "weather")
    require_usage_sentence(ended, "--only", "'weather'", *(projection.name for projection in PROJECTIONS))


def test_rebuild_adds_no_event(stocked: Run) -> None:
    stocked("projections", "rebuild")
    assert stocked("inventory", "--json").json["position"] == 4


def test_rebuild_does_not_hide_a_changed_event(stocked: Run, settings: Settings) -> None:
    change_by_hand(settings, CHANGE_AN_EVENT)
    require_success(stocked("projections", "rebuild"))
    require_inconsistent(stocked("projections", "verify"), "commit 3")


def test_unreadable_event_stops_a_rebuild_without_a_change(stocked: Run, settings: Settings) -> None:
    before = require_success(stocked("projections", "status"))
    change_by_hand(settings, "UPDATE events SET state = CAST('nonsense' AS BLOB) WHERE topic = 'OfferCreated'")
    ended = stocked("projections", "rebuild")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert require_success(stocked("projections", "status")) == before
