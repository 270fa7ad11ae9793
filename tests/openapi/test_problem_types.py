"""Every operation declares the problem types that it answers faulty requests with, and answers with those that it declares.

The faults are those that every operation can meet: in the request, in its token, in the storage, and a stop of the server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple

import pytest

from api.dependencies.roles import ALL_ROLES, ROLES_BY_CALL
from api.server.entrance import interruption_of
from api.service import Service
from domain.values import Role
from tests.openapi.test_document import DOCUMENT, OPERATIONS
from tests.support.calls.faulty_requests import FAULTS, Fault, Operation, Refusal, operations_in, send_faulty
from tests.support.calls.tour import create_named_token, toured_service
from tests.support.processes.shell import by_hand

ALL = tuple(operations_in(DOCUMENT))
SECRETS = {role: "tidepool" if role is Role.PARTNER else str(role) for role in ALL_ROLES}
VALID = Fault()
COUNTED = next(operation for operation in ALL if operation.name == "listOffers")
"""Every role may make this call, and it counts towards the requests of a token."""
ALWAYS_PROVOKED = {
    "ambiguous-length",
    "forbidden",
    "head-too-large",
    "invalid-http",
    "projection-not-built",
    "request-timeout",
    "storage-unavailable",
    "too-many-requests",
    "unauthorized",
    "unsupported-media-type",
    "validation-error",
}
"""The types that the faults provoke from every operation that declares them."""
NOT_COUNTED = {"sendBatch"}
"""Only repeated batches count towards the requests of a token."""


class Refused(NamedTuple):
    """An operation, the name of a fault, and the reply."""

    operation: str
    fault: str
    reply: Refusal


@pytest.fixture(scope="module")
def refusals() -> list[Refused]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OFFER_LEDGER_MAX_BODY_PAUSE_SECONDS", "0.3")
        return list(_provoke_all())


def _provoke_all() -> Iterator[Refused]:
    with toured_service() as (tour, service), ThreadPoolExecutor(8) as pool:

        def refused(name: str, fault: Fault, operation: Operation, secret: str | None) -> Refused:
            return Refused(operation.name, name, send_faulty(tour.address, operation, fault, secret))

        def provoke(name: str, fault: Fault, operations: tuple[Operation, ...] = ALL) -> Iterator[Refused]:
            sent = [pool.submit(refused, name, fault, each, _secret_for(each)) for each in operations]
            return (each.result() for each in sent)

        for name, fault in FAULTS.items():
            yield from provoke(name, fault)
        for operation in ALL:
            for role in set(ALL_ROLES) - set(ROLES_BY_CALL[operation.call] or ALL_ROLES):
                yield refused(f"the role {role}", VALID, operation, SECRETS[role])
        for role in ALL_ROLES:
            secret = f"slow {role}"
            partner = "tidepool" if role is Role.PARTNER else None
            create_named_token(service, secret, role, partner, requests_per_minute=1)
            refused("the first request", VALID, COUNTED, secret)
            operations = (each for each in ALL if ROLES_BY_CALL[each.call][:1] == (role,))
            yield from (refused("too many requests", VALID, each, secret) for each in operations)
        for name, table in (("no table of tokens", "tokens"), ("no table of versions", "schema_version")):
            with _without(service, table):
                yield from provoke(name, VALID)


def _secret_for(operation: Operation) -> str | None:
    roles = ROLES_BY_CALL[operation.call]
    return SECRETS[roles[0]] if roles else None


@contextmanager
def _without(service: Service, table: str) -> Iterator[None]:
    with by_hand(service.settings) as tx:
        tx.execute(f"ALTER TABLE {table} RENAME TO former")
    yield
    with by_hand(service.settings) as tx:
        tx.execute(f"ALTER TABLE former RENAME TO {table}")


def declared(operation: str, status: int) -> set[str]:
    reply = OPERATIONS[operation]["responses"].get(str(status), {})
    return set(reply.get("content", {}).get("application/problem+json", {}).get("examples", {}))


def test_every_provoked_type_is_declared(refusals: list[Refused]) -> None:
    assert {operation for operation, _, _ in refusals} == set(OPERATIONS)
    undeclared = [
        each
        for each in refusals
        if each.reply.status >= HTTPStatus.BAD_REQUEST
        and each.reply.kind not in declared(each.operation, each.reply.status)
    ]
    assert undeclared == []


def test_operations_answer_with_the_types_that_they_declare(refusals: list[Refused]) -> None:
    for kind in sorted(ALWAYS_PROVOKED):
        answering = {each.operation for each in refusals if each.reply.kind == kind}
        answering |= NOT_COUNTED if kind == "too-many-requests" else set()
        declaring = {name for name in OPERATIONS if any(kind in declared(name, status) for status in range(400, 600))}
        assert declaring - answering == set(), kind


def test_every_operation_declares_the_stop_of_a_server() -> None:
    for operation in ALL:
        problem = interruption_of(operation.method)
        assert problem.kind in declared(operation.name, problem.status), operation.name
