"""The signal that a server shuts down. Requests that wait, and long replies, end early because of it."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio

SHUTDOWN_GRACE_SECONDS = 1.0


class ShutdownSignal:
    """Belongs to the event loop of a server."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    def set(self) -> None:
        """Any thread and any signal handler may call this."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._event.set)

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    async def run_until_shutdown(self, work: Callable[[], Awaitable[None]]) -> None:
        """Runs `work`. Cancels it SHUTDOWN_GRACE_SECONDS after a shutdown begins, because its client may be stalled."""
        async with anyio.create_task_group() as group:

            async def cancel_after_shutdown() -> None:
                await self.wait()
                await asyncio.sleep(SHUTDOWN_GRACE_SECONDS)
                group.cancel_scope.cancel()

            group.start_soon(cancel_after_shutdown)
            await work()
            group.cancel_scope.cancel()
