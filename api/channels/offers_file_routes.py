"""The call for offers files: a partner sends all its merchant offers in one file of the merchant document."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from api.channels.offers_file_schemas import OffersFileReply
from api.dependencies.authentication import ServiceDep, origin_of
from api.dependencies.roles import PartnerCaller
from api.http.content_negotiation import MULTIPART, content_coding, is_multipart, require_json
from api.http.paths import OFFERS_FILES_PATH
from api.http.problems import validation_error
from api.http.query_params import Word
from api.http.replies import JSON
from api.intake.offers_file_schemas import OffersFileRequest
from api.parsing.content_coding import CODINGS
from api.parsing.multipart import MAX_BYTES_AROUND_FILE, FilePart
from api.runs.acceptance import RunSender
from api.runs.report import encode_items, file_report_without_items, run_document
from api.runs.schemas import RunReply
from api.runs.server_runtime import server_runtime_of
from api.runs.submission import PREFER, Replies, answer_with_run, new_upload, receive_body
from api.runs.upload import Upload
from api.runs.uploads.upload_place import UploadPlace, enter_upload
from api.service import Service
from api.validation.field_errors import InvalidField
from domain.values import Source

router = APIRouter(tags=["merchants"])


class FileQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Word | None = None
    """The file name, required with a JSON body: <Partner>OffersCCYYMMDD.json."""


@router.post(
    OFFERS_FILES_PATH,
    responses={
        200: {"model": OffersFileReply},
        202: {"model": RunReply, "description": "Accepted. `Location` is the run, which reports the outcome"},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": f"#/components/schemas/{OffersFileRequest.__name__}"}},
                MULTIPART: {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
            },
        },
        "parameters": [PREFER],
    },
)
async def send_offers_file(
    request: Request, service: ServiceDep, caller: PartnerCaller, query: Annotated[FileQuery, Query()]
) -> Response:
    """Send an offers file: all merchant offers of the partner on the date in the file name. The status of each record
    says what to do with its offer.

    The service executes the file even if the client disconnects."""
    async with enter_upload(request, service, caller, server_runtime_of(request.app).upload_places) as place:
        multipart = is_multipart(request)
        coding = _coding(request, query, multipart=multipart)
        upload = new_upload(request, service, caller, coding)
        origin = origin_of(request, caller, Source.FILE)

        async def receive() -> RunSender:
            name = query.name or ""
            if multipart:
                name = await _receive_part(request, service, upload, place)
            else:
                await receive_body(request, upload, place, request.stream(), service.settings.max_body_bytes)
            return RunSender(caller.partner or "", origin, name)

        replies = Replies(run_document, file_report_without_items, encode_items)
        return await answer_with_run(request, service, caller, upload, place, receive, replies)


def _coding(request: Request, query: FileQuery, *, multipart: bool) -> str:
    """Returns the content coding. Raises Problem 415, and 422 if the file has no name or two."""
    if not multipart:
        require_json(request, MULTIPART)
    coding = content_coding(request, () if multipart else CODINGS)
    if multipart is (query.name is not None):
        message = "must not be sent: the multipart body has the name" if multipart else "required with a JSON body"
        raise validation_error([InvalidField(("query", "name"), message)])
    return coding


async def _receive_part(request: Request, service: Service, upload: Upload, place: UploadPlace) -> str:
    """Receives a multipart body, and returns the name of its file."""
    part = FilePart(request.headers.get("Content-Type", ""))

    async def data() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            yield part.feed(chunk)

    await receive_body(request, upload, place, data(), service.settings.max_body_bytes, MAX_BYTES_AROUND_FILE)
    return part.end()
