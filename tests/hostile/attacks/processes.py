"""Attacks on the worker processes of a server: one that is stopped in the midst of its commit, and one that keeps memory."""

import gzip
import json
import os
import re
import signal
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from uuid import uuid4

from tests.support.examples import batch, item
from tests.support.hostile.attack import Attack
from tests.support.hostile.bodies import BATCHES
from tests.support.hostile.target import Target

OFFERS = 10_000
SPACES = b" " * 1_000_000
WAL_WRITE_LOCK = re.compile(r"POSIX +ADVISORY +WRITE +(\d+) +\S+ 120 120$", re.MULTILINE)
"""A line of /proc/locks: the process holds the write lock of a database of SQLite."""


def send_batch(target: Target, body: bytes, *, is_gzip: bool = False) -> int:
    """Sends a batch of the attacker, and returns the status; 0 if the connection broke."""
    headers = {"Authorization": f"ApiToken {target.attacker}", "Content-Type": "application/json"}
    if is_gzip:
        headers["Content-Encoding"] = "gzip"
    connection = HTTPConnection("127.0.0.1", target.port, timeout=120)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("POST", BATCHES, body, headers)
        reply = connection.getresponse()
        reply.read()
        return reply.status
    return 0


def worker_processes(target: Target) -> list[int]:
    """Returns the worker processes of a server that is one process."""
    return [int(child) for child in Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text().split()]


def storing_process(target: Target) -> int | None:
    """Returns the worker process that stores a run: it holds SQLite's write lock now and a moment later."""
    seen = []
    for _ in range(3):
        held = {int(pid) for pid in WAL_WRITE_LOCK.findall(Path("/proc/locks").read_text())}
        seen.append(held.intersection(worker_processes(target)))
        time.sleep(0.02)
    return next(iter(set.intersection(*seen)), None)


def stop_while_storing(target: Target, seconds: float) -> int:
    """Sends a large batch, stops the worker process that stores it, and returns when the run has been executed after all."""
    body = json.dumps(batch("Synchronize", [item(f"TP-{number}") for number in range(OFFERS)], str(uuid4()))).encode()
    sending = threading.Thread(target=send_batch, args=(target, body))
    sending.start()
    end = time.monotonic() + max(seconds, 60)
    while (pid := storing_process(target)) is None and sending.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    if pid:
        os.kill(pid, signal.SIGSTOP)
    sending.join()
    return len(body)


def send_spaces(target: Target, _: float) -> int:
    """Sends a batch of one offer that is mostly white space: some KiB that become 150 MB."""
    document = json.dumps(batch("Insert", [item("TP-1")], str(uuid4()))).encode()
    body = gzip.compress(document[:1] + SPACES * 150 + document[1:])
    send_batch(target, body, is_gzip=True)
    return len(body)


ATTACKS = (
    Attack("worker process stopped while it stores", stop_while_storing),
    Attack("batches of compressed spaces", send_spaces),
)
