"""`offer-ledger import` refuses files that are not a batch, and invalid batches, as a whole."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.examples import PARTNER, batch, body, item
from tests.support.processes.shell import Run, WriteBatch, position, require_refusal, require_success

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
INVALID_ENVELOPES: list[tuple[dict[str, Any], str]] = [
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
def test_file_that_is_not_json_is_refused(partnered: Run, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    require_refusal(partnered("import", file, "--partner", PARTNER), "JSON")
    assert position(partnered) == 1


@pytest.mark.parametrize(("document", "field"), INVALID_ENVELOPES)
def test_error_for_an_invalid_envelope_names_its_field(
    partnered: Run, file: Path, document: dict[str, Any], field: str
) -> None:
    file.write_bytes(body(document))
    ended = partnered("import", file, "--partner", PARTNER)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"{field}: " in ended.stderr
    assert position(partnered) == 1


def test_error_for_an_invalid_envelope_names_every_field(partnered: Run, file: Path) -> None:
    file.write_bytes(body(batch("Replace", [item()], "no UUID")))
    errors = partnered("import", file, "--partner", PARTNER).stderr
    assert "operation: " in errors
    assert "concurrencyRequestId: " in errors


def test_error_text_does_not_mention_json_members(partnered: Run, file: Path) -> None:
    """The HTTP text refers to the member `errors`, which the command line does not print."""
    file.write_bytes(body(batch("Insert", [])))
    assert "named in errors" not in partnered("import", file, "--partner", PARTNER).stderr


def test_document_that_is_not_an_object_is_refused(partnered: Run, file: Path) -> None:
    file.write_bytes(b"[]")
    ended = partnered("import", file, "--partner", PARTNER)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "object" in ended.stderr


def test_batch_with_too_many_offers_is_refused(
    partnered: Run, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEMS", "1")
    require_success(partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER))
    ended = partnered("import", write_batch("Insert", ["TP-2", "TP-3"]), "--partner", PARTNER)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "offers: must have at most 1 element" in ended.stderr


def test_error_for_an_unknown_partner_names_partners_set(run: Run, write_batch: WriteBatch) -> None:
    ended = run("import", write_batch("Insert", ["TP-1"]), "--partner", "nobody")
    require_refusal(ended, "nobody", "offer-ledger partners set nobody")
    assert position(run) == 0


def test_request_id_with_other_content_is_refused(partnered: Run, file: Path) -> None:
    file.write_bytes(body(batch("Insert", [item()], REQUEST_ID)))
    require_success(partnered("import", file, "--partner", PARTNER))
    file.write_bytes(body(batch("Insert", [item(headline="Another one")], REQUEST_ID)))
    require_refusal(partnered("import", file, "--partner", PARTNER), "concurrencyRequestId")
    assert position(partnered) == 2


def test_run_over_the_limit_of_the_partner_is_refused(run: Run, write_batch: WriteBatch) -> None:
    require_success(run("partners", "set", PARTNER, "--synchronize-per-day", 1))
    require_success(run("import", write_batch("Synchronize", ["TP-1"]), "--partner", PARTNER))
    require_refusal(
        run("import", write_batch("Synchronize", ["TP-2"]), "--partner", PARTNER), "Synchronize", "1", "day"
    )


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_refusal_prints_nothing_on_standard_output(partnered: Run, file: Path, options: list[str]) -> None:
    file.write_bytes(b"{")
    require_refusal(partnered("import", file, "--partner", PARTNER, *options), "JSON")
