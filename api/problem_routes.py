"""The pages that explain problem types, for everyone: `/problems/<type>`."""

import re
from html import escape
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel

from api.http.content_negotiation import preferred
from api.http.problem_schemas import PROBLEM_TYPES, ProblemType
from api.http.problems import not_found
from api.http.query_params import no_parameters
from api.http.replies import HTML, JSON, json_response

ProblemKind = Annotated[str, Path(alias="type")]

router = APIRouter(tags=["service"])


class ProblemTypeReply(BaseModel):
    """The meaning of a problem type, and what the client can do."""

    type: str
    statuses: list[int]
    meaning: str
    action: str


@router.get(
    "/problems/{type}",
    responses={200: {"model": ProblemTypeReply, "content": {HTML: {"schema": {"type": "string"}}}}},
)
async def explain_problem(request: Request, kind: ProblemKind) -> Response:
    """Explain a problem type: what it means, and what the client can do. Browsers get a page, programs get JSON."""
    no_parameters(request)
    problem = PROBLEM_TYPES.get(kind)
    if problem is None:
        raise not_found("problem type")
    headers = {"Vary": "Accept"}
    if preferred(request.headers.getlist("Accept"), (JSON, HTML)) == HTML:
        return Response(_page(kind, problem), headers=headers, media_type=f"{HTML}; charset=utf-8")
    meaning, action = _plain(problem.meaning), _plain(problem.action)
    reply = {"type": kind, "statuses": problem.statuses, "meaning": meaning, "action": action}
    return json_response(reply, headers=headers)


def _plain(text: str) -> str:
    """Returns a text of the catalogue without its links, which only the documentation can resolve."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def _page(kind: str, problem: ProblemType) -> str:
    meaning, action = (_with_code(_plain(text)) for text in (problem.meaning, problem.action))
    statuses = " or ".join(map(str, problem.statuses))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{kind} · Offer Ledger</title>\n</head>\n<body>\n<main>\n"
        f"<h1>{kind}</h1>\n<p>Status {statuses}. {meaning}</p>\n<h2>What to do</h2>\n<p>{action}</p>\n"
        "</main>\n</body>\n</html>\n"
    )


def _with_code(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
