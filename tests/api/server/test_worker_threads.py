"""Tests of the worker threads of a server."""

import asyncio
from threading import Event

from api.server.worker_threads import WRITING_THREADS, WorkerThreads
from tests.support.waiting import PATIENCE_SECONDS


def test_reads_do_not_wait_for_writes() -> None:
    released = Event()

    async def read_beside_writes() -> str:
        threads = WorkerThreads()
        writes = [asyncio.create_task(threads.run_write(released.wait)) for _ in range(WRITING_THREADS + 1)]
        try:
            return await asyncio.wait_for(threads.run_read(str, "read"), timeout=PATIENCE_SECONDS)
        finally:
            released.set()
            await asyncio.gather(*writes)

    assert asyncio.run(read_beside_writes()) == "read"
