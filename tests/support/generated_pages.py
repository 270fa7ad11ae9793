"""Generates what the code determines: pages and tables of the documentation, and `openapi.json` with its examples.

`python -m tests.support.generated_pages` writes it; `tests/docs/test_generated_pages.py` fails where it differs.
"""

import json
import re
import tempfile
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.app import create_app
from api.bounds.settings import BoundSettings
from api.dependencies.roles import roles_table
from api.http.problem_schemas import PROBLEM_TYPES
from api.openapi.document import openapi_document
from api.settings import Settings
from api.wiring import open_service
from benchmarks.reporting import markdown
from tests.support.calls import tour
from tests.support.verification.undetected import undetected_table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MEASURED = ("batch", "put", "beside", "rebuild")
"""The benchmarks whose whole output is in `docs/performance.md`."""
NOTE = "<!-- This page is generated: python -m tests.support.generated_pages -->"


def errors_page() -> str:
    """Returns `docs/http/errors.md`: every problem type, its meaning and what the client can do."""
    lines = [
        "# Errors",
        "",
        NOTE,
        "",
        "This page is for everyone whose program calls the service. It explains every problem type, and what to do about it.",
        "",
        "Every refusal and every failure is a problem document (RFC 9457) with the media type `application/problem+json`.",
        "Programs decide by `type`: it never changes. The texts in `title`, `detail` and `message` are for people, and they may change.",
        "",
        "```json",
        '{"type": "validation-error", "title": "Validation error", "status": 422,',
        ' "detail": "The request breaks the rules named in errors.",',
        ' "errors": [{"pointer": "/limit", "message": "…"}],',
        ' "instance": "/api/v1/offers?limit=0", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736"}',
        "```",
        "",
        "- `errors` names each field by a JSON pointer (RFC 6901). It is empty if no field is at fault.",
        "- `traceId` identifies the request in the log of the service. Send it to the operator with a question.",
        "- Replies of the batch channel and of the merchant channel also have the members of their vendor's interface.",
        "- A reply with `Retry-After` says in how many seconds the request may be sent again.",
        "",
        "| status | types |",
        "| --- | --- |",
        *_by_status(),
        "",
        "## Types",
    ]
    for kind, problem in sorted(PROBLEM_TYPES.items()):
        status = " or ".join(map(str, problem.statuses))
        lines += ["", f"### {kind}", "", f"Status {status}. {problem.meaning}", "", f"**What to do:** {problem.action}"]
    return "\n".join(lines) + "\n"


def _by_status() -> Iterator[str]:
    statuses = sorted({status for problem in PROBLEM_TYPES.values() for status in problem.statuses})
    for status in statuses:
        kinds = sorted(kind for kind, problem in PROBLEM_TYPES.items() if status in problem.statuses)
        yield f"| {status} | {', '.join(f'[`{kind}`](#{kind})' for kind in kinds)} |"


def configuration_page() -> str:
    """Returns `docs/configuration.md`: every setting with its type, default and bounds."""
    lines = [
        "# Configuration",
        "",
        NOTE,
        "",
        "This page is for operators. It lists every setting. No setting is required: without any, the service uses SQLite in the",
        "present folder.",
        "",
        "Every process reads its settings from environment variables when it starts. A value that is not valid stops the command",
        "with exit code 2 and a message that names the setting. So does an unknown variable that begins with `OFFER_LEDGER_`; the",
        "message has the nearest name. Variables that begin with `OFFER_LEDGER_TEST_` belong to the tests and are ignored. Settings",
        "that hold a secret never appear in a log or an error.",
        "",
        "| environment variable | value | default | meaning |",
        "| --- | --- | --- | --- |",
        *(
            _setting(name, field)
            for name, field in Settings.model_fields.items()
            if name not in BoundSettings.model_fields
        ),
        "",
        "## Bounds",
        "",
        "Bounds leave the other callers their share. Each holds in each server process. An error names the bound that it is about.",
        "",
        "| environment variable | value | default | meaning |",
        "| --- | --- | --- | --- |",
        *map(_setting, BoundSettings.model_fields, BoundSettings.model_fields.values()),
        "",
        "Limits of partners (runs, requests per second, daily quota, redemption window) are not settings of a process. They are",
        "facts in the ledger: `offer-ledger partners set` records them. See [Command line](cli.md).",
    ]
    return "\n".join(lines) + "\n"


def _setting(name: str, field: FieldInfo) -> str:
    prefix = Settings.model_config["env_prefix"]
    default = "none" if field.default in {None, PydanticUndefined} else f"`{field.default}`"
    return f"| `{prefix}{name.upper()}` | {_value(field)} | {default} | {field.description} |"


def _value(field: FieldInfo) -> str:
    kinds = {int: "integer", float: "number of seconds" if "seconds" in str(field.description) else "number"}
    kind = next((word for kind, word in kinds.items() if kind in _types(field.annotation)), "text")
    bounds = {type(bound).__name__: bound for bound in field.metadata}
    least, most = (getattr(bounds.get(name), name.lower(), None) for name in ("Ge", "Le"))
    if least is not None and most is not None:
        return f"{kind}, {least} to {most}"
    return f"{kind}, at least {least}" if least is not None else kind


def _types(annotation: object) -> set[object]:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation):
        return {kind for part in typing.get_args(annotation) for kind in _types(part)}
    return {annotation}


def conventions_page() -> str:
    """Returns `docs/http/conventions.md` with the table of calls and roles between its two marker comments."""
    page = (DOCS / "http" / "conventions.md").read_text()
    (table,) = re.finditer(r"(?<=<!-- roles -->\n).*(?=<!-- /roles -->\n)", page, re.DOTALL)
    return f"{page[: table.start()]}\n{roles_table()}\n{page[table.end() :]}"


def data_model_page() -> str:
    """Returns `docs/data-model.md` with the table of undetected changes between its two marker comments."""
    page = (DOCS / "data-model.md").read_text()
    (table,) = re.finditer(r"(?<=<!-- undetected -->\n).*(?=<!-- /undetected -->\n)", page, re.DOTALL)
    return f"{page[: table.start()]}\n{undetected_table()}\n\n{page[table.end() :]}"


def performance_page() -> str:
    """Returns `docs/performance.md` with the whole output of the benchmarks between its two marker comments."""
    page = (DOCS / "performance.md").read_text()
    (output,) = re.finditer(r"(?<=<!-- output -->\n).*(?=<!-- /output -->\n)", page, re.DOTALL)
    lines = markdown.lines([ROOT / "benchmarks" / "results" / f"{name}.json" for name in MEASURED])
    return "\n".join([page[: output.start()], *lines, page[output.end() :]])


def examples_file() -> str:
    """Returns `api/openapi/examples.json`: the recorded examples of the OpenAPI document."""
    return tour.recorded_examples(tour.take())


def openapi_file() -> str:
    """Returns `openapi.json`, the document that the service serves."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/ledger.db")
        with open_service(settings) as service:
            document = openapi_document(create_app(service))
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "http/errors.md": errors_page,
    "http/conventions.md": conventions_page,
    "configuration.md": configuration_page,
    "data-model.md": data_model_page,
    "performance.md": performance_page,
    "../api/openapi/examples.json": examples_file,
    "../openapi.json": openapi_file,
}
"""The functions that generate the files, by path from `docs/`. The examples come before the document that contains them."""


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
