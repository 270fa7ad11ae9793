"""Fixtures for two processes that own runs of the same ledger."""

import pytest

from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from tests.support.histories.runs import LEASE


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", LEASE)


@pytest.fixture
def there(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "there", LEASE)
