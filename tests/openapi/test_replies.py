"""The replies of the real service have the headers and the problem types that the OpenAPI document declares."""

from collections import defaultdict
from typing import Any

import pytest

from api.openapi.reply_headers import HEADERS
from tests.openapi.test_document import OPERATIONS
from tests.support.calls import tour
from tests.support.calls.tour import Answer

OF_EVERY_REPLY = {"connection", "content-length", "content-type", "date", "server", "transfer-encoding"}
"""Headers of HTTP itself."""


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    return tour.take()


def declared(answer: Answer) -> dict[str, Any]:
    reply: dict[str, Any] = OPERATIONS[answer.operation]["responses"][str(answer.status)]
    return reply


def test_tour_calls_every_operation(answers: list[Answer]) -> None:
    assert {answer.operation for answer in answers} == set(OPERATIONS)


def test_every_sent_header_is_declared(answers: list[Answer]) -> None:
    for answer in answers:
        names = {name.lower() for name in declared(answer).get("headers", ())}
        assert set(answer.headers) - OF_EVERY_REPLY <= names, (answer.operation, answer.status)


def test_every_declared_header_is_sent(answers: list[Answer]) -> None:
    sent = defaultdict[tuple[str, int], set[str]](set)
    names = defaultdict[tuple[str, int], set[str]](set)
    for answer in answers:
        place = answer.operation, answer.status
        sent[place] |= set(answer.headers)
        names[place] |= {name.lower() for name in declared(answer).get("headers", ())}
    assert {place: names[place] - sent[place] for place in names if names[place] - sent[place]} == {}
    assert set().union(*sent.values()) >= {name.lower() for name in HEADERS}


def test_every_refusal_has_a_declared_problem_type(answers: list[Answer]) -> None:
    refused = [(answer, answer.received["application/problem+json"]) for answer in answers if answer.status >= 400]
    assert len(refused) > 15
    for answer, problem in refused:
        assert problem["type"] in declared(answer)["content"]["application/problem+json"]["examples"], answer
