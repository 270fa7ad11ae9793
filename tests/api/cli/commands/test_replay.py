"""offer-ledger replay: is the state at a moment what its events say?"""

from pathlib import Path

import pytest

from api.settings import Settings
from tests.support.examples import PARTNER
from tests.support.processes.shell import Run, WriteBatch, change_by_hand, require_done, require_refusal


@pytest.fixture
def position(partnered: Run, write_batch: WriteBatch) -> int:
    """Where the first of two batches ends."""
    require_done(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    found: int = partnered("inventory", "--json").json["position"]
    require_done(partnered("import", write_batch("Synchronize", ["TP-3"]), "--partner", PARTNER))
    return found


def test_what_was_replayed_is_told_and_that_the_service_answers_the_same(
    run: Run, position: int, tmp_path: Path
) -> None:
    first, last = require_done(run("replay", "--as-of", position, "--out", tmp_path / "then.db")).splitlines()
    assert f"As of position {position} there are 2 offers and 0 redemption windows" in first
    assert last == "The service answers the same."
    told = run("replay", "--out", tmp_path / "now.db", "--json").json
    assert (told["rows"], told["equal"], told["differences"]) == ({"offers": 3, "redemption_windows": 0}, True, [])


def test_a_difference_is_told_and_is_a_failure(run: Run, settings: Settings, position: int, tmp_path: Path) -> None:
    assert position
    change_by_hand(settings, "UPDATE offer_periods SET status = 'deleted' WHERE status = 'paused' AND offer_id = 2")
    ended = run("replay", "--out", tmp_path / "now.db")
    assert ended.exit_code == 1
    assert 'found {"status":"deleted"' in ended.stdout
    assert "projections verify" in ended.stderr


def test_a_file_that_is_there_is_left_alone(run: Run, position: int, tmp_path: Path) -> None:
    assert position
    out = tmp_path / "mine"
    out.write_text("precious")
    require_refusal(run("replay", "--out", out), "--out", "is there already")
    require_refusal(run("replay", "--out", tmp_path / "none" / "file"), "--out", "can't be written")
    assert out.read_text() == "precious"
