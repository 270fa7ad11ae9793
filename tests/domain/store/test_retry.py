"""Retries of transactions that the database has rolled back."""

import pytest

from domain.store.errors import OutcomeUnknown, TransactionRolledBack
from domain.store.retry import FIRST_WAIT_SECONDS, TRIES, backoff, retry_transaction


class Transaction:
    """Fails with each error in turn, then returns its argument."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, argument: str) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return argument


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.store.retry.FIRST_WAIT_SECONDS", 0)


def test_transaction_is_repeated_until_it_succeeds() -> None:
    transaction = Transaction(*[TransactionRolledBack()] * (TRIES - 1))
    run = retry_transaction(transaction.__call__)
    assert (run("done"), transaction.calls) == ("done", TRIES)


def test_last_error_is_raised() -> None:
    errors = [TransactionRolledBack(str(number)) for number in range(TRIES)]
    transaction = Transaction(*errors)
    with pytest.raises(TransactionRolledBack) as raised:
        retry_transaction(transaction.__call__)("done")
    assert (raised.value, transaction.calls) == (errors[-1], TRIES)


@pytest.mark.parametrize("error", [OutcomeUnknown(), ValueError()])
def test_other_errors_are_not_retried(error: Exception) -> None:
    transaction = Transaction(error)
    with pytest.raises(type(error)):
        retry_transaction(transaction.__call__)("done")
    assert transaction.calls == 1


def test_waits_double_and_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.store.retry.FIRST_WAIT_SECONDS", FIRST_WAIT_SECONDS)
    waits = list(backoff())
    bounds = [FIRST_WAIT_SECONDS * 2**number for number in range(TRIES - 1)]
    assert len(waits) == len(bounds)
    assert all(0.5 * bound <= wait <= 1.5 * bound for wait, bound in zip(waits, bounds, strict=True))
