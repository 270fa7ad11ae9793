"""The OpenAPI document: `openapi.json` is what the service serves, and its readers find names, texts and examples."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.http.problem_schemas import PROBLEM_TYPES
from api.openapi.document import OPENAPI_PATH
from api.openapi.problem_replies import PROBLEMS_BY_OPERATION
from api.openapi.property_descriptions import MEMBER_DESCRIPTIONS, PARAMETER_DESCRIPTIONS
from tests.support.calls.tour import SAMPLES
from tests.support.generated_pages import ROOT
from tests.support.harness import Caller

DOCUMENT: dict[str, Any] = json.loads((ROOT / "openapi.json").read_text())
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}
MODELS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
CONSOLE_ONLY = {"foreign-form", "in-the-past", "method-not-allowed", "partner-exists"}
"""The types that no operation of the document answers with: forms of the console, and methods that do not exist."""
JSON_TYPES = ("application/json", "application/problem+json", "application/x-ndjson")
Body = dict[str, Any]


def members() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields each member of each model with its schema."""
    for model, schema in MODELS.items():
        yield from ((model, name, member) for name, member in schema.get("properties", {}).items())


def bodies() -> Iterator[tuple[str, str, Body]]:
    """Yields each body of each request and reply, with its operation and media type."""
    for name, operation in OPERATIONS.items():
        for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
            yield from ((name, media_type, body) for media_type, body in holder.get("content", {}).items())


def values(body: Body) -> Iterator[Any]:
    """Yields the examples of a body."""
    if "example" in body:
        yield body["example"]
    for example in body.get("examples", {}).values():
        yield DOCUMENT["components"]["examples"][example["$ref"].rpartition("/")[2]]["value"]


def test_stored_document_is_the_served_one(auditor: Caller) -> None:
    assert auditor.get(OPENAPI_PATH).json() == DOCUMENT, "Run: python -m tests.support.generated_pages"


def test_every_model_has_its_own_title_and_a_description() -> None:
    titles = [schema["title"] for schema in MODELS.values()]
    assert titles == list(MODELS)
    assert len({title.lower() for title in titles}) == len(titles)
    assert [model for model, schema in MODELS.items() if not schema.get("description")] == []


def test_members_have_no_titles_that_generators_use_as_names() -> None:
    titled = [f"{model}.{name}" for model, name, schema in members() if re.search(r"'title': '", str(schema))]
    assert titled == []


def test_every_operation_has_a_readable_unique_id() -> None:
    assert sum(len(methods) for methods in DOCUMENT["paths"].values()) == len(OPERATIONS)
    assert [name for name in OPERATIONS if not re.fullmatch("[a-z]+([A-Z][a-z]+)*", name)] == []


def test_every_operation_has_a_summary_a_description_and_a_tag() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    for name, operation in OPERATIONS.items():
        assert operation["summary"], name
        assert operation["description"].startswith(operation["summary"].split()[0]), name
        assert len(operation["tags"]) == 1, name
        assert set(operation["tags"]) <= described, name


def test_every_member_and_parameter_has_a_description() -> None:
    assert [f"{model}.{name}" for model, name, schema in members() if not schema.get("description")] == []
    parameters = [(name, part) for name, operation in OPERATIONS.items() for part in operation.get("parameters", ())]
    assert [f"{name}: {part['name']}" for name, part in parameters if not part.get("description")] == []
    assert len(list(members())) > 400


def test_tables_of_descriptions_have_no_unused_entry() -> None:
    found = {schema["description"] for _, _, schema in members()}
    assert [name for name, text in MEMBER_DESCRIPTIONS.items() if text not in found] == []
    found = {part["description"] for operation in OPERATIONS.values() for part in operation.get("parameters", ())}
    assert [name for name, text in PARAMETER_DESCRIPTIONS.items() if text not in found] == []


def test_tables_of_problems_name_existing_operations() -> None:
    assert set(PROBLEMS_BY_OPERATION) <= set(OPERATIONS)


def test_document_has_every_problem_type_with_its_meaning() -> None:
    names = {name.rpartition(".")[2] for name in DOCUMENT["components"]["examples"]}
    assert names == set(PROBLEM_TYPES) - CONSOLE_ONLY
    used = {name for _, _, body in bodies() for name in body.get("examples", {})}
    assert used == names


def test_every_error_reply_names_its_problem_types() -> None:
    for name, operation in OPERATIONS.items():
        for status, reply in operation["responses"].items():
            if status >= "400":
                assert reply["content"]["application/problem+json"]["examples"], (name, status)
        assert any("400" <= status < "500" for status in operation["responses"]), name


def test_every_body_has_an_example() -> None:
    without = [(name, media_type) for name, media_type, body in bodies() if not list(values(body))]
    assert [place for place in without if place[1] != "multipart/form-data"] == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_examples_match_their_schemas(operation: str) -> None:
    for name, media_type, body in bodies():
        if name == operation and media_type in JSON_TYPES:
            schema = body["schema"] | {"components": DOCUMENT["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            for value in values(body):
                assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)] == []


@pytest.mark.parametrize(
    ("operation", "sample"),
    [
        ("sendBatch", "batch-insert.json"),
        ("sendOffersFile", "HarborOffers20261122.json"),
        ("putOffer", "merchant-offer.json"),
        ("activateOffer", "activation.json"),
        ("reverseRedemption", "reversal.json"),
    ],
)
def test_request_example_is_the_sample_of_the_tutorial(operation: str, sample: str) -> None:
    example = OPERATIONS[operation]["requestBody"]["content"]["application/json"]["example"]
    assert example == json.loads((SAMPLES / sample).read_text())


def test_only_calls_without_roles_need_no_token() -> None:
    assert {scheme for entry in DOCUMENT["security"] for scheme in entry} == {"ApiToken", "Bearer"}
    open_calls = {name for name, operation in OPERATIONS.items() if operation.get("security") == []}
    assert open_calls == {"healthz", "readyz", "showStart", "explainProblem"}
