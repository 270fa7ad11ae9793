"""`/problems/<type>` explains every problem type without a token: as a page for browsers, as JSON for programs."""

import html
import re

import pytest

from api.http.problem_schemas import PROBLEM_TYPES
from tests.support.harness import Call

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def words(text: str) -> str:
    """Returns a text without marks of Markdown."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


def words_of_page(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def test_every_problem_type_is_explained_without_a_token(call: Call) -> None:
    anonymous = call(None)
    for kind, problem in PROBLEM_TYPES.items():
        reply = anonymous.get(f"/problems/{kind}")
        assert reply.status_code == 200
        explained = reply.json()
        assert (explained["type"], tuple(explained["statuses"])) == (kind, problem.statuses)
        assert words(explained["meaning"]) == words(problem.meaning)
        assert words(explained["action"]) == words(problem.action)


def test_browser_gets_a_page_with_the_same_texts(call: Call) -> None:
    anonymous = call(None)
    for kind, problem in PROBLEM_TYPES.items():
        reply = anonymous.get(f"/problems/{kind}", headers=BROWSER)
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert reply.headers["Vary"] == "Accept"
        text = words_of_page(reply.text)
        assert kind in text
        assert words(problem.meaning) in text
        assert words(problem.action) in text


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_program_gets_json(call: Call, accept: str | None) -> None:
    reply = call(None).get("/problems/not-json", headers={"Accept": accept} if accept else None)
    assert reply.headers["Content-Type"] == "application/json"


def test_type_of_a_refusal_leads_to_its_explanation(call: Call) -> None:
    anonymous = call(None)
    kind = anonymous.get("/api/v1/offers").json()["type"]
    assert anonymous.get(f"/problems/{kind}").json()["statuses"] == [401]


@pytest.mark.parametrize("word", ["unheard-of", "", "not-found/x", "<script>"])
def test_unknown_word_is_not_found(call: Call, word: str) -> None:
    reply = call(None).get(f"/problems/{word}", headers=BROWSER)
    assert (reply.status_code, reply.json()["type"]) == (404, "not-found")


def test_parameter_of_an_explanation_is_refused(call: Call) -> None:
    assert call(None).get("/problems/not-found", x="1").status_code == 422
