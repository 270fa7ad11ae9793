"""Bodies that wait on disk until they are complete."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.settings import BoundSettings
from api.bounds.turns import Turns
from api.bounds.waiting_file import TooManyFiles, WaitingDisk, WaitingFile
from api.http.content_negotiation import content_coding
from api.http.request_state import request_state
from api.parsing.json_body import body_too_large
from api.parsing.streaming.white_space import WhiteSpaceBound
from api.server.bodies.body_problems import too_many_files, too_much_on_disk

SMALL_UPLOAD_BYTES = 1024 * 1024
"""Bodies up to this size stay in memory until they are complete."""
BYTES_PER_WRITE = 256 * 1024
DISK_THREADS = 4
LARGE_BODIES = 2
"""Complete bodies over SMALL_UPLOAD_BYTES that are read at the same time, one for each holder."""
LARGE_BATCHES = 8
"""Batches of activations over SMALL_UPLOAD_BYTES that are recorded at the same time, one for each holder."""

_T = TypeVar("_T")


class WaitingBodies:
    """The disk and the memory that bodies over SMALL_UPLOAD_BYTES may use. Belongs to the event loop of a server."""

    def __init__(self, bounds: BoundSettings, folder: Path | None) -> None:
        size = Allowance(bounds.max_waiting_bytes_per_partner, bounds.max_waiting_bytes)
        files = Allowance(bounds.max_waiting_files_per_partner, bounds.max_waiting_files)
        self.disk = WaitingDisk(size, files, folder)
        self.turns, self._batch_turns = Turns(LARGE_BODIES), Turns(LARGE_BATCHES)
        self._max_white_space_bytes = bounds.max_white_space_bytes
        self._threads = CapacityLimiter(DISK_THREADS)

    def file_for(self, holder: str) -> WaitingFile:
        return WaitingFile(self.disk, holder)

    @asynccontextmanager
    async def receive(
        self, request: Request, holder: str, max_bytes: int, setting: str | None = None
    ) -> AsyncIterator["ReceivedBody"]:
        """Receives the body as sent, and removes it from the disk at the end of the block.

        `setting`: the setting that is the bound, if it is one. Raises Problem 400 for too much white space, 413 if the body is too large,
        415 if it has a content coding, and 429 or 503 beyond the bounds."""
        content_coding(request, ())
        file, memory = self.file_for(holder), request_state(request).body_memory
        body, size, white_space = bytearray(), 0, WhiteSpaceBound(self._max_white_space_bytes)
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > max_bytes:
                    raise body_too_large(max_bytes, setting=setting)
                white_space.check(chunk)
                body += chunk
                if len(body) > (BYTES_PER_WRITE if file.size else SMALL_UPLOAD_BYTES):
                    await self.run(file.append, bytes(body))
                    if memory:
                        memory.move_to_disk(len(body))
                    body.clear()
            yield ReceivedBody(file, bytes(body))
        finally:
            if file.size:
                await self.run(file.close)

    async def load(self, body: "ReceivedBody") -> bytes:
        return await to_thread.run_sync(body.load) if body.is_large else body.load()

    def batch_turn(self, body: "ReceivedBody", holder: str) -> AbstractAsyncContextManager[None]:
        """Waits until the holder has no other large batch in memory. A small body needs no turn."""
        return self._batch_turns.take(holder) if body.is_large else nullcontext()

    async def run(self, function: Callable[..., _T], *args: object) -> _T:
        """Runs a function that writes to waiting files. Raises Problem 429 or 503 beyond the bounds."""
        try:
            return await to_thread.run_sync(function, *args, limiter=self._threads)
        except TooManyFiles as error:
            raise too_many_files(self.disk.files, error) from None
        except AllowanceExceeded as error:
            raise too_much_on_disk(self.disk.size, error) from None


class ReceivedBody:
    """A complete body. Its first part is on disk, and its last part is in memory."""

    def __init__(self, file: WaitingFile, last: bytes) -> None:
        self._file, self._last = file, last

    @property
    def is_large(self) -> bool:
        return self._file.size > 0

    @property
    def size(self) -> int:
        return self._file.size + len(self._last)

    def load(self) -> bytes:
        """Returns all of it. Raises StorageError if the disk fails."""
        return self._file.read(0, self._file.size) + self._last if self.is_large else self._last
