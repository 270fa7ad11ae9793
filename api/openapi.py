"""The OpenAPI document of the service."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.dependencies.authentication import require_roles
from api.dependencies.roles import ALL_ROLES, ROLES_BY_CALL
from api.http.ledger_position import describe
from api.http.problem_schemas import ProblemReply
from api.http.query_params import no_parameters
from api.intake.batch_schemas import BatchRequest
from api.intake.merchant_schemas import MerchantOffer
from api.intake.offers_file_schemas import OffersFileRequest
from api.redemption.activation_schemas import ActivationRequest, FlightRequest
from api.redemption.redemption_schemas import RedemptionRequest, ReversalRequest

_REFERENCE = "#/components/schemas/{model}"


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Returns the OpenAPI document, with the models of bodies that routes parse without FastAPI."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, extra = models_json_schema(
        [
            (ActivationRequest, "validation"),
            (FlightRequest, "validation"),
            (RedemptionRequest, "validation"),
            (ReversalRequest, "validation"),
            (BatchRequest, "validation"),
            (MerchantOffer, "validation"),
            (OffersFileRequest, "validation"),
            (ProblemReply, "serialization"),
        ],
        ref_template=_REFERENCE,
    )
    describe(document)
    _describe_roles(document)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(extra["$defs"])
    components["securitySchemes"] = {
        "ApiToken": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "Authorization: ApiToken <token>",
        },
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{"ApiToken": []}, {"Bearer": []}]
    return document


def _describe_roles(document: dict[str, Any]) -> None:
    """Adds the roles that may make a call to its operation, as `x-roles` and as a sentence."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            roles = ROLES_BY_CALL[f"{method.upper()} {path}"]
            operation["x-roles"] = list(roles)
            sentence = f"Roles: {', '.join(roles)}."
            operation["description"] = "\n\n".join(filter(None, [operation.get("description"), sentence]))


def openapi_router(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(require_roles(*ALL_ROLES))])

    @router.get("/api/v1/openapi.json")
    def openapi(request: Request) -> dict[str, Any]:
        no_parameters(request)
        return openapi_document(app)

    return router
