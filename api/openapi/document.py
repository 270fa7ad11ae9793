"""Makes the OpenAPI document of the service."""

from functools import cache, partial
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.channels.batch_reply_schemas import BatchProblem
from api.channels.merchant_schemas import MerchantProblem
from api.dependencies.authentication import require_roles
from api.dependencies.roles import ALL_ROLES, ROLES_BY_CALL
from api.http.problem_schemas import ProblemReply
from api.http.query_params import no_parameters
from api.http.replies import json_response
from api.intake.batch_schemas import BatchRequest
from api.intake.merchant_schemas import MerchantOffer
from api.intake.offers_file_schemas import OffersFileRequest
from api.offers.schemas import HoldRequest, ReleaseRequest
from api.openapi.examples import add_examples
from api.openapi.operations import operations_of
from api.openapi.problem_replies import describe_problems
from api.openapi.property_descriptions import describe_members
from api.openapi.reply_headers import describe_headers
from api.redemption.activation_schemas import ActivationRequest, FlightRequest
from api.redemption.redemption_schemas import RedemptionRequest, ReversalRequest
from api.runs.schemas import UndoRequest

OPENAPI_PATH = "/api/v1/openapi.json"
DESCRIPTION = """The system of record for partner offers: what was live, when, who changed it and why.

Partners send offers in batches, one at a time, or in daily files. Publishers report activations and purchases. Auditors read
every past state.

A call with GET also answers HEAD. Each call needs a token, except the calls without security. Times are RFC 3339 in UTC. Each error is a problem document
(RFC 9457); `/problems/<type>` explains its type."""
SERVERS = [{"url": "/", "description": "The server that returns this document."}]
TAGS = {
    "batch": "Partners send many offers in one request.",
    "merchants": "Partners send one offer in each request, or all merchant offers in a daily file.",
    "runs": "The batches and offers files that the service accepted, the outcome of each offer, and their undo.",
    "offers": "The offers, now and as of any past state, and their holds.",
    "audit": "The events of the ledger, and comparisons of two states.",
    "activations": "Publishers report that customers activated offers, and schedule flights.",
    "redemptions": "Purchases, reversals, redemption windows, verdicts and the daily feed.",
    "service": "The state of the service, and the meaning of its problem types.",
}
_MODELS_OF_BODIES: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (ActivationRequest, "validation"),
    (FlightRequest, "validation"),
    (HoldRequest, "validation"),
    (ReleaseRequest, "validation"),
    (RedemptionRequest, "validation"),
    (ReversalRequest, "validation"),
    (BatchRequest, "validation"),
    (MerchantOffer, "validation"),
    (OffersFileRequest, "validation"),
    (UndoRequest, "validation"),
    (ProblemReply, "serialization"),
    (BatchProblem, "serialization"),
    (MerchantProblem, "serialization"),
]
"""The models of bodies that routes read and write without FastAPI."""
_SECURITY_SCHEMES = {
    "ApiToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The word `ApiToken`, a space and the token: `Authorization: ApiToken <token>`.",
    },
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same token as `Authorization: Bearer <token>`."},
}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Returns the OpenAPI document, with the models of bodies that routes parse without FastAPI."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": description} for name, description in TAGS.items()],
        servers=SERVERS,
    )
    _, extra = models_json_schema(_MODELS_OF_BODIES, ref_template="#/components/schemas/{model}")
    components = document["components"]
    components["schemas"] |= extra["$defs"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = _SECURITY_SCHEMES
    document["security"] = [{name: []} for name in _SECURITY_SCHEMES]
    _describe_operations(document)
    describe_problems(document)
    describe_headers(document)
    describe_members(document)
    add_examples(document)
    _remove_titles_of_members(document)
    components["schemas"] = dict(sorted(components["schemas"].items()))
    return document


def _describe_operations(document: dict[str, Any]) -> None:
    """Adds a summary, the first sentence of the description, and the roles that may make the call."""
    for call, operation in operations_of(document):
        roles, text = ROLES_BY_CALL[call], " ".join(operation.get("description", "").split("\n"))
        operation["summary"] = text.partition(". ")[0].rstrip(".")
        operation["x-roles"] = list(roles)
        sentence = f"Roles: {', '.join(roles)}." if roles else "This call needs no token."
        operation["description"] = "\n\n".join(filter(None, [operation.get("description"), sentence]))
        if not roles:
            operation["security"] = []
        for reply in operation["responses"].values():
            _describe_reply(document, reply)


def _describe_reply(document: dict[str, Any], reply: dict[str, Any]) -> None:
    """Describes a successful reply by its model, unless the route describes it."""
    if reply["description"] == "Successful Response":
        schema: dict[str, Any] = next((body["schema"] for body in reply.get("content", {}).values()), {})
        model = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
        reply["description"] = model.get("description", "The requested data.").replace("\n", " ")


def _remove_titles_of_members(document: dict[str, Any]) -> None:
    """Removes the titles that pydantic makes from the names of members: generators make class names of titles."""
    for schema in document["components"]["schemas"].values():
        for part in (*schema.get("properties", {}).values(), *schema.get("oneOf", ())):
            _remove_titles(part)
    for _, operation in operations_of(document):
        for parameter in operation.get("parameters", ()):
            _remove_titles(parameter["schema"])


def _remove_titles(schema: dict[str, Any]) -> None:
    schema.pop("title", None)
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(name, ()):
            _remove_titles(part)
    if isinstance(items := schema.get("items"), dict):
        _remove_titles(items)


def openapi_router(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(require_roles(*ALL_ROLES))])
    # Making it takes 0.3 s, and the routes do not change.
    document = cache(partial(openapi_document, app))

    @router.get(OPENAPI_PATH)
    def openapi(request: Request) -> Response:
        no_parameters(request)
        return json_response(document())

    return router
