"""`offer-ledger replay` rebuilds a state from the events and compares the answers of the service."""

from pathlib import Path

import pytest

from api.settings import Settings
from tests.support.examples import PARTNER
from tests.support.processes.shell import Run, WriteBatch, change_by_hand, require_refusal, require_success


@pytest.fixture
def position(partnered: Run, write_batch: WriteBatch) -> int:
    """The position after the first of two batches."""
    require_success(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    first_end: int = partnered("inventory", "--json").json["position"]
    require_success(partnered("import", write_batch("Synchronize", ["TP-3"]), "--partner", PARTNER))
    return first_end


def test_replay_prints_its_counts_and_that_all_answers_match(run: Run, position: int, tmp_path: Path) -> None:
    first, last = require_success(run("replay", "--as-of", position, "--out", tmp_path / "then.db")).splitlines()
    assert f"as of position {position} from the events: 2 offers and 0 redemption windows" in first
    assert last == "All answers of the service match the events."
    document = run("replay", "--out", tmp_path / "now.db", "--json").json
    assert (document["rows"], document["equal"], document["differences"]) == (
        {"offers": 3, "redemption_windows": 0},
        True,
        [],
    )


def test_replay_prints_a_difference_and_fails(run: Run, settings: Settings, position: int, tmp_path: Path) -> None:
    assert position
    change_by_hand(settings, "UPDATE offer_periods SET status = 'deleted' WHERE status = 'paused' AND offer_id = 2")
    ended = run("replay", "--out", tmp_path / "now.db")
    assert ended.exit_code == 1
    assert 'found {"status":"deleted"' in ended.stdout
    assert "projections verify" in ended.stderr


def test_replay_does_not_overwrite_a_file(run: Run, position: int, tmp_path: Path) -> None:
    assert position
    out = tmp_path / "mine"
    out.write_text("precious")
    require_refusal(run("replay", "--out", out), "--out", "already exists")
    require_refusal(run("replay", "--out", tmp_path / "none" / "file"), "--out", "cannot write")
    assert out.read_text() == "precious"
