"""A filter by a partner that does not exist is an error for callers who see all partners."""

import pytest

from domain.values import Role
from tests.support.calls.console_pages import ConsoleReader
from tests.support.examples import PARTNER
from tests.support.harness import Call, Caller, MakeToken

LISTS = (
    "/api/v1/offers",
    "/api/v1/offers/counts",
    "/api/v1/runs",
    "/api/v1/audit/events",
    "/api/v1/audit/stream",
    "/api/v1/audit/diff?fromPosition=0",
    "/api/v1/audit/changed-verdicts?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z",
    "/api/v1/redemption-windows",
    "/api/v1/partner/redemptions?date=2026-11-21",
)
EMPTY = ("/api/v1/offers", "/api/v1/runs", "/api/v1/audit/events", "/api/v1/redemption-windows")


def status(caller: Caller, path: str, partner: str) -> int:
    with caller.http.stream("GET", f"{path}{'&' if '?' in path else '?'}partner={partner}") as reply:
        return reply.status_code


def test_unknown_partner_in_a_filter_is_reported(auditor: Caller, subtests: pytest.Subtests) -> None:
    for path in LISTS:
        with subtests.test(path):
            assert status(auditor, path, PARTNER) == 200
            reply = auditor.http.get(f"{path}{'&' if '?' in path else '?'}partner=typo")
            assert reply.status_code == 422
            error = {"pointer": "/query/partner", "message": "names no partner of this ledger"}
            assert reply.json()["errors"] == [error]


def test_console_reports_an_unknown_partner(call: Call, token: MakeToken, subtests: pytest.Subtests) -> None:
    reader = ConsoleReader(call, token(Role.AUDITOR))
    for page in ("offers", "runs", "compare?fromPosition=0"):
        with subtests.test(page):
            reply = reader.get(f"/console/{page}{'&' if '?' in page else '?'}partner=typo")
            assert reply.status_code == 422
            assert "names no partner of this ledger" in reply.text


def test_unknown_partner_is_reported_to_a_publisher(call: Call, token: MakeToken) -> None:
    publisher = call(token(Role.PUBLISHER))
    assert [status(publisher, "/api/v1/offers", name) for name in (PARTNER, "typo")] == [200, 422]


def test_partner_gets_an_empty_list_for_any_other_name(partner: Caller, token: MakeToken) -> None:
    token(partner="harbor")
    for path in EMPTY:
        replies = [partner.get(path, partner=name) for name in ("harbor", "typo")]
        assert [(reply.status_code, reply.json()["items"]) for reply in replies] == [(200, [])] * 2
