"""The query plan for the windows of many customers, without statistics of the table."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from api.service import Service
from domain.store.cursor import Cursor
from projections.redemption.redemption_windows import find_activations
from tests.support.engine import only_postgres


class RecordingCursor:
    """A cursor that records the executed statements."""

    def __init__(self, tx: Cursor) -> None:
        self._tx = tx
        self.executed: list[tuple[str, Sequence[Any]]] = []

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        self.executed.append((statement, values))
        return self._tx.execute(statement, values)


@only_postgres
def test_windows_of_many_customers_use_the_index_by_customer(
    service: Service,
) -> None:
    with service.ledger.read() as tx:
        recording: Any = RecordingCursor(tx)
        offer_uid = uuid4()
        find_activations(recording, [(f"customer {number}", offer_uid) for number in range(200)])
        ((statement, values),) = recording.executed
        plan = "\n".join(row[0] for row in tx.execute(f"EXPLAIN {statement}", values))
    assert "redemption_windows_by_customer" in plan
    assert "redemption_windows_by_offer" not in plan
