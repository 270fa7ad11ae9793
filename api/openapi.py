"""The OpenAPI document of the service."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.dependencies.authentication import require_roles
from api.http.ledger_position import describe
from api.http.problem_schemas import ProblemReply
from api.http.query_params import no_parameters
from api.intake.batch_schemas import BatchRequest
from api.intake.merchant_schemas import MerchantOffer
from api.intake.offers_file_schemas import OffersFileRequest
from api.redemption.activation_schemas import ActivationRequest, FlightRequest
from api.redemption.redemption_schemas import RedemptionRequest, ReversalRequest
from domain.values import Role

_REFERENCE = "#/components/schemas/{model}"


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The routes' own description, with the models that they refer to without FastAPI's help."""
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


def _openapi_router(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(require_roles(*Role))])

    @router.get("/api/v1/openapi.json")
    def openapi(request: Request) -> dict[str, Any]:
        no_parameters(request)
        return openapi_document(app)

    return router
