"""Retries transactions that the database has rolled back.

The causes are a connection that was lost before COMMIT, a deadlock, and a serialization failure. A transaction with an
unknown outcome (OutcomeUnknown) is not retried.
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
# A generator of its own: the global one belongs to the program that uses this code, such as a property test.
_random = random.Random()  # noqa: S311 - not a secret

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def retry_transaction(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorates a function that runs one transaction: calls it up to TRIES times, with increasing random waits between.

    Random waits keep transactions that collided from colliding again. Raises TransactionRolledBack if the last call does."""

    @wraps(function)
    def retrying(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        for wait in backoff():
            try:
                return function(*args, **kwargs)
            except TransactionRolledBack:
                time.sleep(wait)
        return function(*args, **kwargs)

    return retrying


def backoff() -> Iterator[float]:
    """Yields the seconds to wait before each retry."""
    for number in range(TRIES - 1):
        yield FIRST_WAIT_SECONDS * 2**number * _random.uniform(0.5, 1.5)


def retry_until_unlocked(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorates a function that locks tables exclusively: calls it until the tables are free. Holds no lock between calls."""

    @wraps(function)
    def retrying(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        is_logged = False
        while True:
            try:
                return function(*args, **kwargs)
            except (TableInUse, LockTimeout) as in_use:
                if not is_logged:
                    _log.warning(
                        "Another connection uses a table that must be replaced; waiting until it is free: %s", in_use
                    )
                is_logged = True
                time.sleep(UNLOCK_POLL_SECONDS)

    return retrying
