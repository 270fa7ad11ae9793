"""Receives a request that becomes a run, and answers it: for batches and for offers files."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from msgspec import Struct

from api.dependencies.authentication import count_repetition
from api.dependencies.runtime import runtime_of
from api.http.ledger_position import set_position
from api.http.paths import run_path
from api.http.problems import Problem
from api.http.replies import json_response
from api.parsing.content_coding import decoded_body_too_large
from api.runs.acceptance import RunSender
from api.runs.execution import FAILED
from api.runs.prefer import parse_wait_preference
from api.runs.server_runtime import server_runtime_of
from api.runs.upload import Upload
from api.service import Service
from domain.ledgers.ledger import StorageError
from domain.runs.run import Run, RunState
from domain.store.cursor import Cursor
from projections.access.tokens import Caller

BYTES_PER_WRITE = 256 * 1024
PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "respond-async: do not wait for the run. wait=n: wait at most n seconds (RFC 7240).",
    "schema": {"type": "string"},
}

logger = logging.getLogger("offer_ledger")


class Replies(Struct, frozen=True):
    """Functions that make the reply for an unfinished run and for a completed run. `completed` may raise Problem."""

    accepted: Callable[[Run], dict[str, Any]]
    completed: Callable[[Cursor, Run], dict[str, Any]]


async def answer_with_run(
    request: Request,
    service: Service,
    caller: Caller,
    upload: Upload,
    receive: Callable[[], Awaitable[RunSender]],
    replies: Replies,
) -> Response:
    """Accepts a run and waits for it as the client prefers. The run is executed even if the client disconnects.

    `receive` fills the upload. Raises Problem 429 for a repeated request beyond the caller's requests per minute."""
    runtime = server_runtime_of(request.app)
    supervisor, threads = runtime.supervisor, runtime.threads
    wait = parse_wait_preference(request.headers.getlist("Prefer"), service.settings.wait_seconds)
    async with supervisor.discard_unless_accepted(upload):
        accepted = await supervisor.accept(upload, await receive())
    if accepted.replayed:
        await count_repetition(service, caller)
        headers = {"Idempotency-Replayed": "true"} if accepted.run.is_finished else {}
        return await threads.run_read(_answer, request, service, accepted.run, headers, replies)
    headers = {"Preference-Applied": wait.applied} if wait.applied else {}
    try:
        run = await supervisor.wait(accepted.run, wait.seconds)
        return await threads.run_read(_answer, request, service, run, headers, replies)
    except StorageError as error:
        # The run is accepted even if its present state can't be read.
        logger.warning("run %s can't be read: %s", accepted.run.run_id, error)
        return _answer(request, service, accepted.run, headers, replies)


async def receive_body(
    request: Request, upload: Upload, chunks: AsyncIterator[bytes], max_bytes: int, spare_bytes: int = 0
) -> None:
    """Writes chunks to an upload. `spare_bytes`: the allowed size of a multipart envelope.

    Raises Problem 413 before reading if `Content-Length` is too large, and the problems of the upload."""
    threads = runtime_of(request).threads
    if int(request.headers.get("Content-Length", "0")) > max_bytes + spare_bytes:
        raise decoded_body_too_large(max_bytes)
    waiting_bytes = bytearray()
    async for chunk in chunks:
        waiting_bytes += chunk
        if len(waiting_bytes) >= BYTES_PER_WRITE:
            await threads.run_write(upload.write, bytes(waiting_bytes))
            waiting_bytes.clear()
    await threads.run_write(_write_last, upload, bytes(waiting_bytes))


def _write_last(upload: Upload, last: bytes) -> None:
    upload.write(last)
    upload.end()


def _answer(request: Request, service: Service, run: Run, headers: dict[str, str], replies: Replies) -> Response:
    """Raises Problem for a failed run."""
    set_position(request, run.accepted_position if run.position is None else run.position)
    if not run.is_finished:
        headers |= {"Location": run_path(run.run_id)}
        return json_response(replies.accepted(run), HTTPStatus.ACCEPTED, headers)
    if run.state is RunState.FAILED:
        headers |= {"Location": run_path(run.run_id)}
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED.type, FAILED.detail, headers=headers)
    try:
        with service.ledger.recorder.read() as tx:
            answer = replies.completed(tx, run)
    except Problem as problem:
        problem.headers |= headers
        raise
    return json_response(answer, HTTPStatus.OK, headers)
