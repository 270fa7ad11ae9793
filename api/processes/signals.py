"""Signals of a server and its children: servers ignore a hangup, and a process with an endless thread ends hard."""

import faulthandler
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger("offer_ledger")


def log_hangups() -> None:
    """Ignores SIGHUP and logs it. A server has nothing to reload, and a closed terminal must not stop it."""
    signal.signal(signal.SIGHUP, _log_hangup)
    # The parent has blocked the signal for the time before this call.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def _log_hangup(_: int, __: FrameType | None) -> None:
    logger.warning("ignored SIGHUP: send SIGTERM to stop the server")


@contextmanager
def hangups_blocked() -> Iterator[None]:
    """Blocks SIGHUP in this thread. A child that starts inside inherits it, and survives a hangup before it can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_hard_after(seconds: float) -> None:
    """Ends this process with exit code 1 if it still exists after so many seconds, and prints what each thread does then.

    No thread of Python code is needed for that. Acknowledged work is safe: it is in the database. A second call replaces the
    first."""
    faulthandler.dump_traceback_later(seconds, exit=True)
