"""Tests of the table of roles: it is complete, enforced and published."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.access.console_sessions import CONSOLE
from api.app import create_app
from api.dependencies.roles import ALL_ROLES, ROLES_BY_CALL, roles_table
from api.openapi.document import openapi_document
from api.service import Service
from domain.values import Role
from tests.support.harness import Call, Caller, MakeToken

OPENAPI = "GET /api/v1/openapi.json"


@pytest.fixture
def app(service: Service) -> FastAPI:
    return create_app(service)


def calls(routes: Any) -> Iterator[str]:
    """Yields every call of the application, without the pages of the console."""
    for route in routes:
        if isinstance(route, APIRoute) and not route.path.startswith(CONSOLE):
            yield from (f"{method} {route.path_format}" for method in route.methods or ())
        elif (router := getattr(route, "original_router", None)) is not None:
            yield from calls(router.routes)


def test_every_call_has_an_entry_and_every_entry_a_call(app: FastAPI) -> None:
    assert sorted(calls(app.routes)) == sorted(ROLES_BY_CALL)


def reply_status(caller: Caller, call: str) -> int:
    """Returns the status of a call. Its unknown parameter makes an allowed call fail after the check of the role."""
    method, _, path = call.partition(" ")
    return caller.http.request(method, re.sub(r"\{\w+\}", "x", path), params={"unknown": "1"}).status_code


def test_every_call_is_allowed_for_exactly_its_roles(call: Call, token: MakeToken) -> None:
    callers = {role: call(token(role)) for role in ALL_ROLES}
    calls = [call for call, roles in ROLES_BY_CALL.items() if roles]
    allowed = {call: tuple(role for role in ALL_ROLES if reply_status(callers[role], call) != 403) for call in calls}
    assert allowed == {call: ROLES_BY_CALL[call] for call in calls}


def test_call_needs_a_token_unless_the_table_allows_none(call: Call) -> None:
    anonymous = call(None)
    refused = {call for call in ROLES_BY_CALL if reply_status(anonymous, call) == 401}
    assert refused == {call for call, roles in ROLES_BY_CALL.items() if roles}


def test_openapi_document_names_the_roles_of_every_operation(app: FastAPI) -> None:
    published = {
        f"{method.upper()} {path}": (operation["x-roles"], operation["description"].rpartition("\n\n")[2])
        for path, operations in openapi_document(app)["paths"].items()
        for method, operation in operations.items()
    }
    documented = {call: roles for call, roles in ROLES_BY_CALL.items() if call != OPENAPI}
    assert published == {
        call: (list(roles), f"Roles: {', '.join(roles)}." if roles else "This call needs no token.")
        for call, roles in documented.items()
    }


def test_table_in_the_documentation_has_a_row_per_call() -> None:
    header, rule, *rows = roles_table().splitlines()
    assert header == f"| call | {' | '.join(Role)} |"
    assert rule == "| --- | --- | --- | --- | --- |"
    assert len(rows) == len(ROLES_BY_CALL)
    assert "| `POST /api/v1/activations` |  | yes |  |  |" in rows
    assert "| `GET /healthz` | no token | no token | no token | no token |" in rows
