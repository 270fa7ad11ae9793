"""How large may a form be, and is nothing left of one that is refused? (RFC 7578, 9110)"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.parsing.multipart import SPARE_BYTES
from api.service import Service
from api.settings import Settings
from tests.support.calls.offers_files import (
    NAME,
    REPLAYED,
    counted,
    form,
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
from tests.support.histories.runs import rows

MIB = 1024 * 1024
MAX_BODY_BYTES = 9 * MIB
"""Twice what is stored at a time."""
FILE = body(offers_file(record("A")))
LARGE = FILE.ljust(5 * MIB)
"""Of this, something is stored before it has ended."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", max_body_bytes=MAX_BODY_BYTES)


def one_by_one(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


def test_a_file_may_be_as_large_as_the_limit_whatever_stands_around_it(partner: Caller) -> None:
    partner.http.timeout = 60
    content = FILE.ljust(MAX_BODY_BYTES)
    around = ["X: " + "y" * 4_000]
    sent = form(part(content, f'form-data; name="file"; filename="{NAME}"', *around))
    assert counted(send_bytes(partner, sent)) == {"created": 1}
    assert send_bytes(partner, one_by_one(sent[:MIB], sent[MIB:])).headers[REPLAYED] == "true"


def test_a_file_of_one_byte_more_is_413_and_leaves_nothing(partner: Caller, service: Service) -> None:
    sent = form(part(FILE.ljust(MAX_BODY_BYTES + 1)))
    for body_sent in (sent, one_by_one(sent), one_by_one(sent[: 5 * MIB], sent[5 * MIB :])):
        assert refusal(send_bytes(partner, body_sent), 413) == ("content-too-large", [])
    assert (runs(partner), rows(service.ledger, "run_bodies")) == ([], 0)


def test_so_is_a_body_with_too_much_around_the_file(partner: Caller, service: Service) -> None:
    sent = form(part(LARGE)) + b" " * (MAX_BODY_BYTES + SPARE_BYTES)
    for body_sent in (sent, one_by_one(sent[: 5 * MIB], sent[5 * MIB :])):
        assert refusal(send_bytes(partner, body_sent), 413) == ("content-too-large", [])
    assert rows(service.ledger, "run_bodies") == 0


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "gzip, gzip"])
def test_a_form_in_a_content_coding_is_415(partner: Caller, coding: str) -> None:
    reply = send_form(partner, FILE, Content_Encoding=coding)
    assert refusal(reply, 415) == ("unsupported-media-type", [])
    assert reply.headers["Accept-Encoding"] == "identity"


def test_a_form_in_no_coding_may_say_so(partner: Caller) -> None:
    assert counted(send_form(partner, FILE, Content_Encoding="identity")) == {"created": 1}


LEFT = {
    "a second part": (form(part(LARGE), part(FILE)), 400),
    "no filename": (form(part(LARGE, 'form-data; name="file"')), 400),
    "no end": (form(part(LARGE))[:-9], 400),
    "a bad delimiter": (form(part(LARGE)).removesuffix(b"--\r\n") + b" x", 400),
    "no JSON": (form(part(LARGE + b"x")), 400),
    "a wrong name": (form(part(LARGE, 'form-data; filename="offers.json"')), 422),
    "a wrong count": (form(part(LARGE.replace(b'Count": 1', b'Count": 2'))), 422),
}


@pytest.mark.parametrize(("sent", "status"), LEFT.values(), ids=LEFT)
def test_a_large_file_that_is_refused_leaves_nothing(
    partner: Caller, service: Service, sent: bytes, status: int
) -> None:
    partner.http.timeout = 60
    refusal(send_bytes(partner, sent), status)
    assert (runs(partner), rows(service.ledger, "run_bodies")) == ([], 0)
