"""What is done again, when the database has undone it?

A connection that was lost before anything was to be kept, transactions that stood in each other's way. Whether something has
been kept is never unknown here.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

from domain.store.errors import LockTimeout, TableInUse, TransactionRolledBack

TRIES = 4
FIRST_WAIT_SECONDS = 0.1
UNLOCK_POLL_SECONDS = 1.0

_log = logging.getLogger(__name__)

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def retry_transaction(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """For a function that is one transaction: calls it up to TRIES times, after waits that double and are never the same, so
    that those who were undone together do not come back together. Raises Undone from the last one."""

    @wraps(function)
    def trying(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        for wait in backoff():
            try:
                return function(*args, **kwargs)
            except TransactionRolledBack:
                time.sleep(wait)
        return function(*args, **kwargs)

    return trying


def backoff() -> Iterator[float]:
    """How many seconds to wait before each try but the first."""
    for number in range(TRIES - 1):
        yield FIRST_WAIT_SECONDS * 2**number * random.uniform(0.5, 1.5)  # noqa: S311 - chance, not a secret


def retry_until_unlocked(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """The same for what needs a table for itself: calls it until nobody else uses that, and nobody waits for it meanwhile."""

    @wraps(function)
    def trying(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        is_told = False
        while True:
            try:
                return function(*args, **kwargs)
            except (TableInUse, LockTimeout) as in_use:
                if not is_told:
                    _log.warning("Somebody uses for long what is to be replaced, and is waited for: %s", in_use)
                is_told = True
                time.sleep(UNLOCK_POLL_SECONDS)

    return trying
