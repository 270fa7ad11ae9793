"""Has the server been asked to end?"""

import asyncio
from collections.abc import Awaitable, Callable

import anyio

SHUTDOWN_GRACE_SECONDS = 1.0


class ShutdownSignal:
    """Lives in the event loop of a server."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    def set(self) -> None:
        """May be called from a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)

    @property
    def is_set(self) -> bool:
        return self._told.is_set()

    async def wait(self) -> None:
        await self._told.wait()

    async def run_until_shutdown(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work, unless the server ends and it does not end by itself: its reader may be slow, or stand still."""
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await self.wait()
                await asyncio.sleep(SHUTDOWN_GRACE_SECONDS)
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await work()
            group.cancel_scope.cancel()
