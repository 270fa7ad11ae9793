"""`offer-ledger diff` gives the same answers as HTTP."""

import pytest

from domain.values import Operation
from tests.support.examples import PARTNER
from tests.support.harness import Caller
from tests.support.processes.shell import Run, WriteBatch, require_success, require_usage_sentence


def test_difference_is_printed_as_text_and_as_json(run: Run, write_batch: WriteBatch, auditor: Caller) -> None:
    require_success(run("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    begin = run("inventory", "--json").json["position"]
    require_success(run("import", write_batch(Operation.SYNCHRONIZE, ["TP-2", "TP-3"]), "--partner", PARTNER))
    first, _, *rows = require_success(run("diff", "--from", begin)).splitlines()
    assert first.endswith("1 created, 1 paused.")
    assert ["absent-from-synchronize" in row for row in rows] == [False, True]
    by_http = auditor.get("/api/v1/audit/diff", fromPosition=begin).json()
    assert run("diff", "--from", begin, "--json").json == by_http
    assert (
        require_success(run("diff", "--from", begin, "--limit", 1)).splitlines()[-1].startswith("There are more rows. ")
    )
    assert require_success(run("diff", "--from", begin + 2)).splitlines()[-1] == "No offer differs."


@pytest.mark.usefixtures("service")
def test_kind_limits_the_printed_rows(run: Run, write_batch: WriteBatch) -> None:
    for ids in (["TP-1", "TP-2"], ["TP-2"]):
        require_success(run("import", write_batch(Operation.SYNCHRONIZE, ids), "--partner", PARTNER))
    first, _, *rows = require_success(run("diff", "--from", 0, "--kind", "paused")).splitlines()
    assert first.endswith("2 created, 1 paused.")
    assert [row.split()[2:5] for row in rows] == [["TP-1", "created,", "paused"]]
    refused = run("diff", "--from", 0, "--kind", "transient")
    assert (refused.exit_code, "'created', 'updated', 'paused'" in refused.stderr) == (2, True)


@pytest.mark.usefixtures("service")
def test_later_state_before_the_earlier_one_is_refused(run: Run, write_batch: WriteBatch) -> None:
    require_success(run("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER))
    require_usage_sentence(run("diff", "--from", 2, "--to", 1), "--to")
