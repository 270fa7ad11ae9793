"""States in options of all commands: those that the ledger has not reached, and those inside a commit."""

from pathlib import Path

import pytest

from tests.support.examples import KEY, PARTNER
from tests.support.processes.shell import Run, WriteBatch, require_success, require_usage_sentence

FUTURE = "2999-01-01T00:00:00Z"
PURCHASE = ["--customer-id", "C-1", "--offer-uid", str(KEY.offer_uid), "--transacted-at", "2026-11-22T00:00:00Z"]
COMMANDS = [
    (["inventory"], "--as-of"),
    (["diff"], "--from"),
    (["diff", "--from", "0"], "--to"),
    (["export", "inventory", "--out", "FILE"], "--as-of"),
    (["export", "events", "--out", "FILE"], "--as-of"),
    (["replay", "--out", "FILE"], "--as-of"),
]


@pytest.fixture
def last(partnered: Run, write_batch: WriteBatch) -> int:
    """The last position of a commit with two events."""
    require_success(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    position: int = partnered("inventory", "--json").json["position"]
    return position


@pytest.mark.parametrize(("command", "option"), COMMANDS)
def test_state_that_the_ledger_has_not_reached_is_refused(
    run: Run, last: int, tmp_path: Path, command: list[str], option: str
) -> None:
    out = tmp_path / "out"
    arguments = [str(out) if word == "FILE" else word for word in command]
    for state in (last + 1, FUTURE):
        require_usage_sentence(run(*arguments, option, state), option)
    assert not out.exists()


def test_other_options_beyond_the_end_are_refused(run: Run, last: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    require_usage_sentence(run("verdict", *PURCHASE, "--as-of", FUTURE), "--as-of")
    require_usage_sentence(run("export", "windows", "--out", out, "--as-of", FUTURE), "--as-of")
    ended = run("export", "events", "--out", out, "--after-position", last + 1)
    require_usage_sentence(ended, "--after-position", f"the newest position, which is {last}")
    assert not out.exists()


@pytest.mark.parametrize(("command", "option"), COMMANDS)
def test_state_inside_a_commit_prints_a_note(
    run: Run, last: int, tmp_path: Path, command: list[str], option: str
) -> None:
    for state in (last - 1, last):
        ended = run(*(str(tmp_path / str(state)) if word == "FILE" else word for word in command), option, state)
        note = f"that one has the positions {last - 1} to {last}." if state < last else ""
        assert (ended.exit_code, note in ended.stderr, ended.stderr.count("\n")) == (0, True, int(state < last))
