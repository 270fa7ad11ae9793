"""Health checks, and the OpenAPI document."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

from api.access.console_sessions import CONSOLE
from api.app import create_app
from api.health import PROGRAM
from api.http.paths import BATCH_PATH
from api.http.problems import MEDIA_TYPE
from api.intake.batch_schemas import BatchItem, BatchRequest, OfferData
from api.runs.server_runtime import ServerRuntime, server_runtime_of
from api.service import Service
from domain.store.schema import SCHEMA_VERSION
from domain.values import Role
from tests.support.examples import batch, item, offer_data
from tests.support.harness import Call, Caller, MakeToken

OPENAPI = "/api/v1/openapi.json"
REFERENCE = "#/components/schemas/"


@pytest.fixture
def document(auditor: Caller) -> dict[str, Any]:
    parsed: dict[str, Any] = auditor.get(OPENAPI).json()
    return parsed


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value[name] for name in value if name == "$ref")
        yield from (name for member in value.values() for name in references(member))
    elif isinstance(value, list):
        yield from (name for element in value for name in references(element))


# Health


def test_healthz_needs_no_token(call: Call) -> None:
    reply = call(None).get("/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok", **PROGRAM})
    assert {"service": "offer-ledger", "version": version("offer-ledger"), "schema": SCHEMA_VERSION} == PROGRAM


def test_readyz_reports_the_position_without_a_token(call: Call, partner: Caller) -> None:
    reply = call(None).get("/readyz")
    position = partner.get("/api/v1/offers").json()["position"]
    expected = {"status": "ready", "position": position, "clock": {"state": "ok", "seconds": 0}, **PROGRAM}
    assert (reply.status_code, reply.json()) == (200, expected)


def test_service_with_unreadable_ledger_is_healthy_but_not_ready(call: Call, service: Service) -> None:
    with service.ledger.recorder.write() as tx:
        tx.execute("DROP TABLE head")
    caller = call(None)
    reply = caller.get("/readyz")
    assert (reply.status_code, reply.headers["content-type"]) == (503, MEDIA_TYPE)
    assert caller.get("/healthz").status_code == 200


def test_application_state_holds_the_runtime_only(service: Service) -> None:
    app = create_app(service)
    assert set(app.state._state) == {"runtime"}
    assert isinstance(server_runtime_of(app), ServerRuntime)


# The start page


def test_browser_is_sent_from_the_root_to_the_console(call: Call) -> None:
    reply = call(None).get("/", {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (reply.status_code, reply.headers["location"], reply.headers["vary"]) == (303, CONSOLE, "Accept")


def test_root_names_the_service_to_other_clients(call: Call) -> None:
    reply = call(None).get("/")
    assert (reply.status_code, reply.json()) == (200, {**PROGRAM, "console": CONSOLE, "openapi": OPENAPI})


# OpenAPI


def test_documentation_pages_do_not_exist(call: Call) -> None:
    paths = ("/docs", "/redoc", "/openapi.json", "/api/v1")
    assert {call(None).get(path).status_code for path in paths} == {404}


def test_openapi_needs_a_token_of_any_role(call: Call, token: MakeToken) -> None:
    assert call(None).get(OPENAPI).status_code == 401
    assert {call(token(role)).get(OPENAPI).status_code for role in Role} == {200}


def test_openapi_references_exist(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    parts = {f"#/components/{kind}/{name}" for kind, named in document["components"].items() for name in named}
    assert found <= parts


def test_openapi_has_the_routes(document: dict[str, Any]) -> None:
    routes = {f"{method} {path}" for path, methods in document["paths"].items() for method in methods}
    assert routes >= {
        f"post {BATCH_PATH}",
        "get /healthz",
        "get /readyz",
        "get /problems/{type}",
        "get /api/v1/offers",
        "get /api/v1/offers/{offerUid}",
        "get /api/v1/offers/{offerUid}/history",
    }


def test_openapi_requires_a_token_everywhere(document: dict[str, Any]) -> None:
    assert document["security"] == [{"ApiToken": []}, {"Bearer": []}]


def test_openapi_has_the_schema_of_a_batch(document: dict[str, Any]) -> None:
    sent = document["paths"][BATCH_PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert sent == {"$ref": REFERENCE + "BatchRequest"}
    request = document["components"]["schemas"]["BatchRequest"]
    assert set(request["required"]) == set(request["properties"]) == set(batch("Insert", []))
    assert request["properties"]["operation"]["enum"] == ["Synchronize", "Insert"]


def test_openapi_has_the_required_fields_of_an_offer(document: dict[str, Any]) -> None:
    data = document["components"]["schemas"]["OfferData"]
    assert set(data["required"]) == set(offer_data()) - {"dailyCap"}
    assert set(data["properties"]) == set(OfferData.model_fields)


@pytest.mark.parametrize("data", [offer_data(), [offer_data()], offer_data(dailyCap=None, offerEvents=[])])
def test_batch_schema_accepts_what_partners_send(data: Any) -> None:
    sent = batch("Insert", [item(), {"externalId": "TP-2", "offerData": data}])
    assert len(BatchRequest.model_validate(sent).offers) == 2


def test_openapi_has_every_parameter_of_a_list(document: dict[str, Any]) -> None:
    parameters = {parameter["name"] for parameter in document["paths"]["/api/v1/offers"]["get"]["parameters"]}
    filters = {"partner", "channel", "merchantId", "externalId", "status", "q", "redeemable"}
    assert parameters >= filters | {"cursor", "limit"}


def test_item_schema_has_both_forms_of_its_content() -> None:
    forms = BatchItem.model_json_schema()["properties"]["offerData"]["oneOf"]
    assert {form.get("type", "object") for form in forms} == {"array", "object"}
