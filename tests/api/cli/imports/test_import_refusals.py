"""offer-ledger import: files that are no batch, and batches that are refused as a whole."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.examples import PARTNER, batch, body, item
from tests.support.processes.shell import Run, WriteBatch, position, require_done, require_refusal

REQUEST_ID = str(uuid4())
NOT_JSON = {
    "nothing": b"",
    "half a document": b'{"operation": ',
    "not UTF-8": b'{"operation": "\xff"}',
    "two documents": b"{} {}",
    "NaN": b'{"operation": NaN}',
    "a name twice": b'{"operation": "Insert", "operation": "Insert"}',
    "a deep one": b'{"x": ' + b"[" * 100 + b"]" * 100 + b"}",
}
WRONG_ENVELOPE: list[tuple[dict[str, Any], str]] = [
    (batch("Insert", []), "offers"),
    (batch("Insert", [item()]) | {"offers": {}}, "offers"),
    (batch("Replace", [item()]), "operation"),
    (batch("Insert", [item()], "no UUID"), "concurrencyRequestId"),
    ({name: value for name, value in batch("Insert", [item()]).items() if name != "operation"}, "operation"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "offers.json"


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
def test_a_file_that_is_no_json_is_refused(partnered: Run, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    require_refusal(partnered("import", file, "--partner", PARTNER), "JSON")
    assert position(partnered) == 1


@pytest.mark.parametrize(("document", "field"), WRONG_ENVELOPE)
def test_an_envelope_that_is_not_in_order_is_refused_and_its_field_named(
    partnered: Run, file: Path, document: dict[str, Any], field: str
) -> None:
    file.write_bytes(body(document))
    ended = partnered("import", file, "--partner", PARTNER)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"{field}: " in ended.stderr
    assert position(partnered) == 1


def test_every_field_that_is_not_in_order_is_named(partnered: Run, file: Path) -> None:
    file.write_bytes(body(batch("Replace", [item()], "no UUID")))
    told = partnered("import", file, "--partner", PARTNER).stderr
    assert "operation: " in told
    assert "concurrencyRequestId: " in told


def test_what_is_told_of_an_envelope_are_words_for_a_person_at_a_shell(partnered: Run, file: Path) -> None:
    """There is nothing called `errors` to look into."""
    file.write_bytes(body(batch("Insert", [])))
    assert "named in errors" not in partnered("import", file, "--partner", PARTNER).stderr


def test_a_document_that_is_no_object_is_refused(partnered: Run, file: Path) -> None:
    file.write_bytes(b"[]")
    ended = partnered("import", file, "--partner", PARTNER)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "object" in ended.stderr


def test_more_offers_than_are_allowed_are_refused(
    partnered: Run, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEMS", "1")
    require_done(partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER))
    ended = partnered("import", write_batch("Insert", ["TP-2", "TP-3"]), "--partner", PARTNER)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "offers: must have at most 1 element" in ended.stderr


def test_an_unknown_partner_is_refused_and_told_how_to_create_it(run: Run, write_batch: WriteBatch) -> None:
    ended = run("import", write_batch("Insert", ["TP-1"]), "--partner", "nobody")
    require_refusal(ended, "nobody", "offer-ledger partners set nobody")
    assert position(run) == 0


def test_a_request_id_that_was_used_with_other_content_is_refused(partnered: Run, file: Path) -> None:
    file.write_bytes(body(batch("Insert", [item()], REQUEST_ID)))
    require_done(partnered("import", file, "--partner", PARTNER))
    file.write_bytes(body(batch("Insert", [item(headline="Another one")], REQUEST_ID)))
    require_refusal(partnered("import", file, "--partner", PARTNER), "concurrencyRequestId")
    assert position(partnered) == 2


def test_a_run_over_the_partners_limit_is_refused(run: Run, write_batch: WriteBatch) -> None:
    require_done(run("partners", "set", PARTNER, "--synchronize-per-day", 1))
    require_done(run("import", write_batch("Synchronize", ["TP-1"]), "--partner", PARTNER))
    require_refusal(
        run("import", write_batch("Synchronize", ["TP-2"]), "--partner", PARTNER), "Synchronize", "1", "day"
    )


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_refusal_prints_nothing_on_standard_output(partnered: Run, file: Path, options: list[str]) -> None:
    file.write_bytes(b"{")
    require_refusal(partnered("import", file, "--partner", PARTNER, *options), "JSON")
