"""Files in multipart bodies: parsing in chunks of any size, refusals and file names (RFC 2046, 7578)."""

import json
import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.http.problems import Problem
from api.parsing.multipart import FilePart
from tests.support.calls.offers_files import (
    BOUNDARY,
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
    send_json,
)
from tests.support.examples import body
from tests.support.harness import Caller

CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
FILE = body(offers_file(record("A")))

NOT_ONE_FILE = "it must have exactly one part: a file with a filename"
INCOMPLETE = "it is incomplete"


def form_with(disposition: str, content: bytes = FILE) -> bytes:
    return form(part(content, f"form-data; {disposition}"))


def field(name: str) -> bytes:
    return part(b"x", f'form-data; name="{name}"')


# The bytes of the file


def read(content_type: str, chunks: list[bytes]) -> tuple[str, bytes]:
    """Returns the name and the bytes of the file in a body that arrives in these chunks."""
    file_part = FilePart(content_type)
    content = b"".join(file_part.feed(chunk) for chunk in chunks)
    return file_part.end(), content


def cut(sent: bytes, places: list[int]) -> list[bytes]:
    """Splits bytes into chunks at these places. Some chunks may be empty."""
    ends = [*sorted(place % (len(sent) + 1) for place in places), len(sent)]
    return [sent[start:end] for start, end in zip([0, *ends], ends, strict=False)]


# Valid boundaries, often with the characters that also occur in the delimiter around them.
boundaries = st.from_regex(r"[-A-Za-z0-9'()+_,./:=? ]{0,69}[-A-Za-z0-9'()+_,./:=?]", fullmatch=True) | st.text(
    "-B", min_size=1, max_size=4
)


@st.composite
def contents(draw: st.DrawFn, boundary: str) -> bytes:
    """Any bytes, with parts of delimiters, but without a complete delimiter at the start of a line."""
    delimiter = f"\r\n--{boundary}--\r\n".encode()
    ends = st.integers(0, len(delimiter))
    pieces = st.binary(max_size=8) | st.sampled_from([b"\r", b"\n", b"-", b"\r\n", b"--", boundary.encode()])
    delimiter_parts = st.builds(lambda start, end: delimiter[start:end], ends, ends)
    content = b"".join(draw(st.lists(pieces | delimiter_parts, max_size=12)))
    assume(f"\r\n--{boundary}".encode() not in b"\r\n" + content)
    return content


@st.composite
def sent_files(draw: st.DrawFn) -> tuple[str, bytes, list[bytes]]:
    """A content type, the bytes of a file, and a body with this file, in chunks."""
    boundary = draw(boundaries)
    content = draw(contents(boundary))
    headers = draw(st.sampled_from([[], ["Content-Type: application/json"], ["X: " + "y" * 100, "Z:"]]))
    whole = form(part(content, f'form-data; name="file"; filename="{NAME}"', *headers), boundary=boundary)
    whole = draw(st.sampled_from([b"", b"\r\n"])) + whole + draw(st.sampled_from([b"", b"\r\n", b"--", b"more"]))
    chunks = [whole[at : at + 1] for at in range(len(whole))]
    if draw(st.booleans()):
        chunks = cut(whole, draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    return f'multipart/form-data; boundary="{boundary}"', content, chunks


@settings(deadline=None)
@given(sent_files())
def test_file_does_not_depend_on_the_chunks(sent: tuple[str, bytes, list[bytes]]) -> None:
    content_type, content, chunks = sent
    assert read(content_type, chunks) == (NAME, content)


@pytest.mark.parametrize("content", [b"", b"--", b"\r\n--7d41", b"\r\n--7d41b838504d", b"\r\n\r\n-", b"\r" * 9, FILE])
def test_file_does_not_depend_on_any_cut_in_two(content: bytes) -> None:
    whole = form(part(content))
    for at in range(len(whole) + 1):
        assert read(CONTENT_TYPE, [whole[:at], whole[at:]]) == (NAME, content)


def is_refused(chunks: list[bytes]) -> bool:
    """Returns whether the body is refused, with the expected problem."""
    try:
        read(CONTENT_TYPE, chunks)
    except Problem as problem:
        return (problem.status, problem.kind) == (400, "not-multipart")
    return False


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_bytes_without_a_form_are_refused(sent: bytes, places: list[int]) -> None:
    assume(b"--" + BOUNDARY.encode() not in sent)
    assert is_refused(cut(sent, places))


@settings(deadline=None)
@given(st.integers(0), st.binary(max_size=3), st.lists(st.integers(0, 1000), max_size=5))
def test_changed_form_is_parsed_or_refused(at: int, other: bytes, places: list[int]) -> None:
    whole = form(part(FILE[:20]))
    at %= len(whole)
    changed = cut(whole[:at] + other + whole[at + len(other) :], places)
    assert is_refused(changed) or read(CONTENT_TYPE, changed)


def test_file_in_random_chunks_equals_the_same_json_body(partner: Caller) -> None:
    generator = random.Random(310)
    records = [record(f"A-{n}", note="--" + BOUNDARY[: n % 13]) for n in range(2000)]
    content = json.dumps(offers_file(*records), indent=1).replace("\n", "\r\n").encode()
    whole = form(part(content))

    def one_by_one() -> Iterator[bytes]:
        at = 0
        while at < len(whole):
            size = generator.choice([1, 3, 1000, 70_000, 300_000])
            yield whole[at : at + size]
            at += size

    first = send_bytes(partner, one_by_one())
    assert nonzero_counts(first) == {"created": 2000}
    repeated = send_json(partner, content)
    assert (repeated.content, repeated.headers[REPLAYED]) == (first.content, "true")


# The boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; charset=utf-8",
    ],
)
def test_form_without_a_boundary_is_400(partner: Caller, content_type: str) -> None:
    reply = send_bytes(partner, form(part(FILE)), content_type)
    assert refusal(reply, 400) == ("not-multipart", [])
    assert "boundary" in reply.json()["detail"]


def test_boundary_length_is_limited(partner: Caller) -> None:
    for length, status in ((70, 200), (257, 400), (5000, 400)):
        boundary = "x" * length
        sent = form(part(FILE), boundary=boundary)
        assert send_bytes(partner, sent, f"multipart/form-data; boundary={boundary}").status_code == status


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n",
        FILE,
        form(part(FILE), boundary="another"),
        b"preamble" + form(part(FILE)),
        form(part(FILE)).replace(b"\r\n", b"\n"),
    ],
)
def test_body_without_its_boundary_is_400(partner: Caller, sent: bytes) -> None:
    assert refusal(send_bytes(partner, sent), 400) == ("not-multipart", [])
    assert runs(partner) == []


# Parts


PARTS: dict[str, tuple[bytes, str]] = {
    "no part": (form(), NOT_ONE_FILE),
    "two files": (form(part(FILE), part(FILE)), NOT_ONE_FILE),
    "a field before the file": (form(field("day"), part(FILE)), NOT_ONE_FILE),
    "a field after the file": (form(part(FILE), field("day")), NOT_ONE_FILE),
    "a field only": (form(field("file")), NOT_ONE_FILE),
    "no filename": (form_with('name="file"'), NOT_ONE_FILE),
    "a filename in the extended form only": (form_with(f"name=\"file\"; filename*=utf-8''{NAME}"), NOT_ONE_FILE),
    "no Content-Disposition": (form(b"\r\nContent-Type: application/json\r\n\r\n" + FILE + b"\r\n"), NOT_ONE_FILE),
    "no headers": (form(b"\r\n\r\n" + FILE + b"\r\n"), NOT_ONE_FILE),
    "no end": (form(part(FILE))[: -len(BOUNDARY) - 8], INCOMPLETE),
    "half an end": (form(part(FILE)).removesuffix(b"-\r\n"), INCOMPLETE),
    "another part begins": (form(part(FILE)).removesuffix(b"--\r\n"), INCOMPLETE),
    "its headers only": (form(part(FILE))[:40], INCOMPLETE),
}


@pytest.mark.parametrize(("sent", "reason"), PARTS.values(), ids=PARTS)
def test_form_without_exactly_one_file_is_400_with_a_reason(partner: Caller, sent: bytes, reason: str) -> None:
    reply = send_bytes(partner, sent)
    assert refusal(reply, 400) == ("not-multipart", [])
    assert reply.json()["detail"] == f"The body is not a valid multipart form: {reason}."
    assert runs(partner) == []


@pytest.mark.parametrize(
    "headers",
    [
        ["X: " + "y" * 5_000],
        ["X" * 5_000 + ": y"],
        ["X: " + "y" * 1_000_000],
        [f"X-{n}: y" for n in range(9)],
        ["no colon"],
        [": no name"],
        ["a b: a name with a space"],
    ],
    ids=lambda headers: headers[0][:10],
)
def test_unusual_part_headers_are_400(partner: Caller, headers: list[str]) -> None:
    sent = form(part(FILE, f'form-data; name="file"; filename="{NAME}"', *headers))
    assert refusal(send_bytes(partner, sent), 400) == ("not-multipart", [])


def test_part_may_have_more_headers_and_parameters(partner: Caller) -> None:
    more = ["Content-Type: text/plain; charset=latin-1", "Content-Length: 5", "X: y"]
    sent = form(part(FILE, f"form-data; name=anything; size=7; filename={NAME}", *more)) + b"an epilogue"
    assert nonzero_counts(send_bytes(partner, b"\r\n" + sent)) == {"created": 1}


def test_problem_does_not_repeat_the_refused_character(partner: Caller) -> None:
    """The detail does not contain the number of the character either."""
    whole = form(part(FILE))
    bad_header = form(part(FILE, "form-data", "a\x00b: x"))
    for sent, number in ((b"~" + whole, 126), (whole.replace(b"--7d", b"--~d", 1), 126), (bad_header, 0)):
        reply = send_bytes(partner, sent)
        assert refusal(reply, 400) == ("not-multipart", [])
        assert not re.search(rf"\b{number}\b", reply.json()["detail"])


# The file name


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        (f'filename="{NAME}"', NAME),
        (f"filename={NAME}", NAME),
        (f'FileName="{NAME}"', NAME),
        (f"filename=\"{NAME}\"; filename*=utf-8''OtherOffers20261123.json", NAME),
        ('filename="Tide; pool=1Offers20261122.json"', "Tide; pool=1Offers20261122.json"),
        ('filename="Tide \\"pool\\"Offers20261122.json"', 'Tide "pool"Offers20261122.json'),
        ('filename="LädenOffers20261122.json"', "LädenOffers20261122.json"),
        ('filename="商店😀Offers20261122.json"', "商店😀Offers20261122.json"),
        ('filename="Tide%22poolOffers20261122.json"', "Tide%22poolOffers20261122.json"),
        (f'filename="C:\\dumps\\{NAME}"', NAME),
    ],
)
def test_filename_may_be_written_in_many_ways(partner: Caller, parameter: str, name: str) -> None:
    reply = send_bytes(partner, form_with(f'name="file"; {parameter}'))
    assert (nonzero_counts(reply), reply.json()["fileName"]) == ({"created": 1}, name)


@pytest.mark.parametrize(
    "parameter",
    [
        "filename=",
        'filename=""',
        f'filename="../{NAME}"',
        f'filename="/dumps/{NAME}"',
        f'filename="dumps\\{NAME}"',
        'filename="offers.json"',
        f'filename="{NAME}\x01"',
    ],
)
def test_invalid_filename_is_422(partner: Caller, parameter: str) -> None:
    assert refusal(send_bytes(partner, form_with(f'name="file"; {parameter}')), 422) == ("validation-error", ["/name"])


def test_filename_must_be_utf_8(partner: Caller) -> None:
    sent = form_with('filename="HERE"').replace(b"HERE", b"L\xe4denOffers20261122.json")
    assert refusal(send_bytes(partner, sent), 400) == ("not-multipart", [])
