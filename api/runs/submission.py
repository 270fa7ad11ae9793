"""Receives a request that becomes a run, and answers it: for batches and for offers files."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from msgspec import Struct

from api.dependencies.authentication import count_repetition
from api.dependencies.runtime import runtime_of
from api.dependencies.waiting_bodies import BYTES_PER_WRITE
from api.http.ledger_position import set_position
from api.http.paths import run_path
from api.http.problems import Problem, respond
from api.http.replies import json_response
from api.http.request_state import request_state
from api.parsing.content_coding import decoded_body_too_large
from api.runs.acceptance import RunSender
from api.runs.execution import FAILED
from api.runs.prefer import parse_wait_preference
from api.runs.replies.item_lists import ItemEncoder, reply_pieces
from api.runs.replies.large_reply import send_pieces
from api.runs.server_runtime import server_runtime_of
from api.runs.upload import Upload
from api.runs.uploads.upload_place import UploadPlace
from api.service import Service
from domain.ledgers.ledger import StorageError
from domain.runs.run import Run, RunState
from projections.access.tokens import Caller

PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "respond-async: do not wait for the run. wait=n: wait at most n seconds (RFC 7240).",
    "schema": {"type": "string"},
}

logger = logging.getLogger("offer_ledger")


class Replies(Struct, frozen=True):
    """Functions that make the reply for an unfinished run and for a completed run. `completed` may raise Problem.

    The document of a completed run has placeholders for the lists of its items. `encode` encodes these items; None means
    that their stored JSON is copied."""

    accepted: Callable[[Run], dict[str, Any]]
    completed: Callable[[Run], dict[str, Any]]
    encode: ItemEncoder | None = None


async def answer_with_run(
    request: Request,
    service: Service,
    caller: Caller,
    upload: Upload,
    place: UploadPlace,
    receive: Callable[[], Awaitable[RunSender]],
    replies: Replies,
) -> Response:
    """Accepts a run and waits for it as the client prefers. The run is executed even if the client disconnects.

    `receive` fills the upload. Raises ClientDisconnect if the client disconnects before the run is accepted, and Problem
    429 for a repeated request beyond the caller's requests per minute."""
    runtime = server_runtime_of(request.app)
    supervisor, threads = runtime.supervisor, runtime.threads
    wait = parse_wait_preference(request.headers.getlist("Prefer"), service.settings.wait_seconds)
    async with supervisor.discard_unless_accepted(upload):
        accepted = await supervisor.accept_unless(partial(disconnection, request), upload, await receive())
    place.is_accepted = True
    place.leave()
    if accepted.replayed:
        await count_repetition(service, caller)
        headers = {"Idempotency-Replayed": "true"} if accepted.run.is_finished else {}
        return await threads.run_read(_answer, request, service, accepted.run, headers, replies, caller.name)
    headers = {"Preference-Applied": wait.applied} if wait.applied else {}
    try:
        run = await supervisor.wait(accepted.run, wait.seconds)
        return await threads.run_read(_answer, request, service, run, headers, replies)
    except StorageError as error:
        # The run is accepted even if its present state can't be read.
        logger.warning("run %s can't be read: %s", accepted.run.run_id, error)
        return _answer(request, service, accepted.run, headers, replies)


def new_upload(request: Request, service: Service, caller: Caller, coding: str) -> Upload:
    file = runtime_of(request).waiting_bodies.file_for(caller.partner or "")
    return Upload(service.runs, coding, service.settings, file)


async def disconnection(request: Request) -> None:
    """Waits until the client has disconnected; valid after the whole body has been received."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def receive_body(
    request: Request,
    upload: Upload,
    place: UploadPlace,
    chunks: AsyncIterator[bytes],
    max_bytes: int,
    spare_bytes: int = 0,
    on_written: Callable[[], None] = lambda: None,
) -> None:
    """Writes chunks to an upload. `spare_bytes`: the allowed size of a multipart envelope.

    Calls `on_written` after each write, but not after the last one.
    Raises Problem 413 before reading if `Content-Length` is too large, the problems of the upload, and those of the bounds
    on uploads."""
    bodies, memory = runtime_of(request).waiting_bodies, request_state(request).body_memory
    if int(request.headers.get("Content-Length", "0")) > max_bytes + spare_bytes:
        raise decoded_body_too_large(max_bytes)
    unwritten = bytearray()
    async for chunk in chunks:
        unwritten += chunk
        place.require(max(upload.size, upload.encoded_size) + len(unwritten))
        if len(unwritten) >= BYTES_PER_WRITE:
            await bodies.run(upload.write, bytes(unwritten))
            place.require(upload.size)
            if memory and not upload.is_small:
                memory.move_to_disk(len(unwritten))
            unwritten.clear()
            on_written()
    await bodies.run(upload.write_last, bytes(unwritten))
    place.require(upload.size)


def _answer(
    request: Request,
    service: Service,
    run: Run,
    headers: dict[str, str],
    replies: Replies,
    replaying: str | None = None,
) -> Response:
    """Raises Problem for a failed run. `replaying`: the token that repeats a request."""
    set_position(request, run.accepted_position if run.position is None else run.position)
    if not run.is_finished:
        headers |= {"Location": run_path(run.run_id)}
        return json_response(replies.accepted(run), HTTPStatus.ACCEPTED, headers)
    if run.state is RunState.FAILED:
        headers |= {"Location": run_path(run.run_id)}
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED.type, FAILED.detail, headers=headers)
    try:
        reply = json_response(replies.completed(run), HTTPStatus.OK, headers)
    except Problem as problem:
        problem.headers |= headers
        request_state(request).problem = problem.kind
        reply = respond(request, problem)
    pieces = reply_pieces(service.ledger, run, bytes(reply.body), replies.encode)
    return send_pieces(runtime_of(request).streams, pieces, reply, replaying)
