"""What is open to all, and how the service describes itself."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.http.paths import BATCH_PATH
from api.http.problems import MEDIA_TYPE
from api.intake.batch_schemas import BatchItem, BatchRequest, OfferData
from api.service import Service
from domain.values import Role
from tests.support.examples import batch, item, offer_data
from tests.support.harness import Call, Caller, MakeToken

OPENAPI = "/api/v1/openapi.json"
REFERENCE = "#/components/schemas/"


@pytest.fixture
def document(auditor: Caller) -> dict[str, Any]:
    found: dict[str, Any] = auditor.get(OPENAPI).json()
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value[name] for name in value if name == "$ref")
        yield from (found for member in value.values() for found in references(member))
    elif isinstance(value, list):
        yield from (found for element in value for found in references(element))


# Health


def test_a_running_service_is_healthy_without_a_token(call: Call) -> None:
    reply = call(None).get("/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


def test_a_ready_service_tells_its_position_without_a_token(call: Call, partner: Caller) -> None:
    reply = call(None).get("/readyz")
    position = partner.get("/api/v1/offers").json()["position"]
    assert (reply.status_code, reply.json()) == (200, {"status": "ready", "position": position})


def test_a_service_whose_ledger_cannot_be_read_is_healthy_but_not_ready(call: Call, service: Service) -> None:
    with service.ledger.recorder.write() as tx:
        tx.execute("DROP TABLE head")
    caller = call(None)
    reply = caller.get("/readyz")
    assert (reply.status_code, reply.headers["content-type"]) == (503, MEDIA_TYPE)
    assert caller.get("/healthz").status_code == 200


# The description


def test_no_documentation_is_open_to_all(call: Call) -> None:
    paths = ("/docs", "/redoc", "/openapi.json", "/", "/api/v1")
    assert {call(None).get(path).status_code for path in paths} == {404}


def test_the_description_needs_a_token_of_any_role(call: Call, token: MakeToken) -> None:
    assert call(None).get(OPENAPI).status_code == 401
    assert {call(token(role)).get(OPENAPI).status_code for role in Role} == {200}


def test_the_description_refers_to_nothing_that_is_not_there(document: dict[str, Any]) -> None:
    named = set(references(document))
    assert named
    assert named <= {REFERENCE + name for name in document["components"]["schemas"]}


def test_the_description_has_the_routes(document: dict[str, Any]) -> None:
    routes = {f"{method} {path}" for path, methods in document["paths"].items() for method in methods}
    assert routes >= {
        f"post {BATCH_PATH}",
        "get /api/v1/offers",
        "get /api/v1/offers/{offerUid}",
        "get /api/v1/offers/{offerUid}/history",
    }


def test_the_description_asks_for_a_token_everywhere(document: dict[str, Any]) -> None:
    assert document["security"] == [{"ApiToken": []}, {"Bearer": []}]


def test_the_description_of_a_batch_is_that_of_its_schema(document: dict[str, Any]) -> None:
    sent = document["paths"][BATCH_PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert sent == {"$ref": REFERENCE + "BatchRequest"}
    request = document["components"]["schemas"]["BatchRequest"]
    assert set(request["required"]) == set(request["properties"]) == set(batch("Insert", []))
    assert request["properties"]["operation"]["enum"] == ["Synchronize", "Insert"]


def test_the_description_of_an_offer_has_its_required_fields(document: dict[str, Any]) -> None:
    data = document["components"]["schemas"]["OfferData"]
    assert set(data["required"]) == set(offer_data()) - {"dailyCap"}
    assert set(data["properties"]) == set(OfferData.model_fields)


@pytest.mark.parametrize("data", [offer_data(), [offer_data()], offer_data(dailyCap=None, offerEvents=[])])
def test_the_described_batch_takes_what_partners_send(data: Any) -> None:
    sent = batch("Insert", [item(), {"externalId": "TP-2", "offerData": data}])
    assert len(BatchRequest.model_validate(sent).offers) == 2


def test_the_description_names_every_parameter_of_a_list(document: dict[str, Any]) -> None:
    named = {parameter["name"] for parameter in document["paths"]["/api/v1/offers"]["get"]["parameters"]}
    filters = {"partner", "channel", "merchantId", "externalId", "status", "q", "redeemable"}
    assert named >= filters | {"cursor", "limit"}


def test_an_item_is_described_with_both_forms_of_its_content() -> None:
    forms = BatchItem.model_json_schema()["properties"]["offerData"]["oneOf"]
    assert {form.get("type", "object") for form in forms} == {"array", "object"}
