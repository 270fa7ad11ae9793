"""Size limits of multipart bodies, and cleanup after refused ones (RFC 7578, 9110)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.parsing.multipart import MAX_BYTES_AROUND_FILE
from api.service import Service
from api.settings import Settings
from tests.support.calls.offers_files import (
    NAME,
    REPLAYED,
    form,
    nonzero_counts,
    offers_file,
    part,
    record,
    refusal,
    runs,
    send_bytes,
    send_form,
)
from tests.support.examples import body
from tests.support.harness import Caller
from tests.support.histories.runs import count_rows

MIB = 1024 * 1024
MAX_BODY_BYTES = 9 * MIB
"""More than two stored chunks."""
FILE = body(offers_file(record("A")))
LARGE = FILE.ljust(5 * MIB)
"""Large enough that a part of it is stored before the body ends."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{tmp_path}/ledger.db",
        max_body_bytes=MAX_BODY_BYTES,
        max_white_space_bytes=MAX_BODY_BYTES,
    )


def one_by_one(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


def test_limit_applies_to_the_file_without_the_form_around_it(partner: Caller) -> None:
    content = FILE.ljust(MAX_BODY_BYTES)
    headers = ["X: " + "y" * 4_000]
    sent = form(part(content, f'form-data; name="file"; filename="{NAME}"', *headers))
    assert nonzero_counts(send_bytes(partner, sent)) == {"created": 1}
    assert send_bytes(partner, one_by_one(sent[:MIB], sent[MIB:])).headers[REPLAYED] == "true"


def test_file_over_the_limit_is_413_and_leaves_nothing(partner: Caller, service: Service) -> None:
    sent = form(part(FILE.ljust(MAX_BODY_BYTES + 1)))
    for body_sent in (sent, one_by_one(sent), one_by_one(sent[: 5 * MIB], sent[5 * MIB :])):
        assert refusal(send_bytes(partner, body_sent), 413) == ("content-too-large", [])
    assert (runs(partner), count_rows(service.ledger, "run_bodies")) == ([], 0)


def test_too_many_bytes_around_the_file_are_413(partner: Caller, service: Service) -> None:
    sent = form(part(LARGE)) + b" " * (MAX_BODY_BYTES + MAX_BYTES_AROUND_FILE)
    for body_sent in (sent, one_by_one(sent[: 5 * MIB], sent[5 * MIB :])):
        assert refusal(send_bytes(partner, body_sent), 413) == ("content-too-large", [])
    assert count_rows(service.ledger, "run_bodies") == 0


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "gzip, gzip"])
def test_form_with_a_content_coding_is_415(partner: Caller, coding: str) -> None:
    reply = send_form(partner, FILE, Content_Encoding=coding)
    assert refusal(reply, 415) == ("unsupported-media-type", [])
    assert reply.headers["Accept-Encoding"] == "identity"


def test_form_may_have_identity_coding(partner: Caller) -> None:
    assert nonzero_counts(send_form(partner, FILE, Content_Encoding="identity")) == {"created": 1}


REFUSED = {
    "a second part": (form(part(LARGE), part(FILE)), 400),
    "no filename": (form(part(LARGE, 'form-data; name="file"')), 400),
    "no end": (form(part(LARGE))[:-9], 400),
    "a bad delimiter": (form(part(LARGE)).removesuffix(b"--\r\n") + b" x", 400),
    "no JSON": (form(part(LARGE + b"x")), 400),
    "a wrong name": (form(part(LARGE, 'form-data; filename="offers.json"')), 422),
    "a wrong count": (form(part(LARGE.replace(b'Count": 1', b'Count": 2'))), 422),
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
def test_refused_large_file_leaves_nothing(partner: Caller, service: Service, sent: bytes, status: int) -> None:
    refusal(send_bytes(partner, sent), status)
    assert (runs(partner), count_rows(service.ledger, "run_bodies")) == ([], 0)
