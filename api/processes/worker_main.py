"""The program of a worker process. It calls the functions that its server sends, one after the other, until its input ends.

Both directions are pipes. The server sends a pickled call, or None to let the process rest. The process sends a frame with
a result, and a beat each second while it works: so its server can tell a slow process from a stopped one.
"""

import contextlib
import ctypes
import gc
import os
import pickle
import signal
import sys
from struct import Struct
from threading import Event, Lock, Thread
from typing import Any, BinaryIO

from api.processes.kept_objects import kept_objects

BEAT, RETURNED, RAISED, RESTED = b".", b"R", b"E", b"I"
"""The kinds of frames. Only RETURNED and RAISED have a length and a pickled value. RESTED: the memory of the calls is free."""
LENGTH = Struct(">Q")
BEAT_SECONDS = 1.0


class ReplyPipe:
    """The frames that this process sends. Two threads send them."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe, self._lock = pipe, Lock()

    def send(self, kind: bytes, value: bytes | None = None) -> None:
        with self._lock:
            self._pipe.write(kind if value is None else kind + LENGTH.pack(len(value)) + value)
            self._pipe.flush()


def run_calls(calls: BinaryIO, replies: ReplyPipe) -> None:
    """Returns at the end of the input. Then the server has ended."""
    sys.path = pickle.load(calls)  # noqa: S301 - the server has sent it
    working = Event()
    Thread(target=_send_beats, args=(replies, working), name="beat", daemon=True).start()
    replies.send(BEAT)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            call = pickle.load(calls)  # noqa: S301 - the server has sent it
            working.set()
            replies.send(BEAT)
            frame = _rest() if call is None else _result_of(call)
            del call
            working.clear()
            replies.send(*frame)
            del frame


def _result_of(call: tuple[Any, ...]) -> tuple[bytes, bytes]:
    """Returns the kind of the frame, and the pickled result or exception."""
    try:
        # The server pickles each call twice, so that a function that can't be imported fails here, as its own error.
        function, arguments = pickle.loads(call[0])  # noqa: S301 - the server has sent it
        return RETURNED, pickle.dumps(function(*arguments), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - the server gets the error
        try:
            return RAISED, pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError):
            return RAISED, pickle.dumps(RuntimeError(f"{type(error).__name__} in a worker process"))


def _send_beats(replies: ReplyPipe, working: Event) -> None:
    while True:
        working.wait()
        with contextlib.suppress(BrokenPipeError):
            replies.send(BEAT)
        # An event that nothing sets: a wait that a signal does not shorten.
        Event().wait(BEAT_SECONDS)


def _rest() -> tuple[bytes]:
    """Returns the memory of large calls to the operating system, if the C library can do that."""
    kept_objects.clear()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return (RESTED,)


def start_program() -> None:
    # A signal to the process group is meant for the server, which stops its worker processes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    calls, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints must not reach the pipe.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    sys.stderr = os.fdopen(nowhere, "w")
    run_calls(calls, ReplyPipe(replies))


if __name__ == "__main__":
    start_program()
