"""A cursor continues its list at the end of its page. Any other text is refused, and any cursor of another ledger."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.pagination import ForeignCursor, InvalidCursor, PageCursors
from domain.values import Role
from tests.openapi.test_document import DOCUMENT
from tests.support.calls.publishers import problem
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

LEDGER, OTHER_LEDGER = "a1b2c3d4" * 4, "a1b2c3d5" * 4
FILTERS = {"partner": "tidepool"}
LIST = PageCursors(LEDGER, FILTERS)


def assert_refused(cursor: str | None) -> None:
    with pytest.raises(InvalidCursor):
        LIST.decode(cursor)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).decode()


def test_list_without_a_cursor_starts_at_0() -> None:
    assert LIST.decode(None) == 0


def test_last_page_has_no_cursor() -> None:
    assert LIST.encode(None) is None


@given(st.integers(0, 2**53 - 1))
def test_cursor_decodes_to_its_place(after: int) -> None:
    assert LIST.decode(LIST.encode(after)) == after


def test_cursor_of_other_filters_is_refused() -> None:
    assert_refused(PageCursors(LEDGER, {"partner": "harbor"}).encode(5))


def test_cursor_of_another_ledger_is_refused() -> None:
    for ledger in (OTHER_LEDGER, ""):
        with pytest.raises(ForeignCursor):
            LIST.decode(PageCursors(ledger, FILTERS).encode(5))


@pytest.mark.parametrize("after", [-1, 2**53, 2**64 - 1])
def test_place_out_of_range_is_refused(after: int) -> None:
    assert_refused(LIST.encode(after))


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "x",
        [],
        ["x"],
        ["x", "y"],
        [1, 1],
        {"question": "x", "after": 1},
        [["x", 1]],
        ["x", 1],
        [LEDGER[:8], "x", 1],
    ],
)
def test_other_packed_values_are_refused(value: object) -> None:
    assert_refused(packed(value))


@given(st.text(max_size=256) | st.binary(max_size=190).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_other_texts_are_refused(text: str) -> None:
    assert_refused(text)


# Over HTTP

DAY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
PARAMETERS = {"getDiff": {"fromPosition": "0"}, "listChangedVerdicts": DAY}


LISTS = {
    operation["operationId"]: path
    for path, methods in DOCUMENT["paths"].items()
    for operation in methods.values()
    if "cursor" in {parameter["name"] for parameter in operation.get("parameters", ())}
}


def test_every_list_refuses_a_cursor_of_another_ledger(
    call: Call, token: MakeToken, partner: Caller, subtests: pytest.Subtests
) -> None:
    operator = call(token(Role.OPERATOR))
    run = partner.send(body(batch("Insert", [item()]))).json()["data"]["runId"]
    uid = operator.get("/api/v1/offers").json()["items"][0]["offerUid"]
    cursor = PageCursors(OTHER_LEDGER, FILTERS).encode(1)
    assert len(LISTS) > 8
    for operation, path in LISTS.items():
        with subtests.test(operation):
            parameters = PARAMETERS.get(operation, {}) | {"cursor": cursor}
            reply = operator.get(path.format(runId=run, offerUid=uid), None, **parameters)
            assert problem(reply) == (422, "validation-error", ["/query/cursor"])
            assert "another ledger" in reply.json()["errors"][0]["message"]
