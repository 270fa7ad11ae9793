"""Are a customer's windows found where nothing is known yet of how many there are?"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from api.service import Service
from domain.store.cursor import Cursor
from projections.redemption.redemption_windows import activations
from tests.support.engine import only_postgres


class Listening:
    """A transaction of which the questions are known."""

    def __init__(self, tx: Cursor) -> None:
        self._tx = tx
        self.asked: list[tuple[str, Sequence[Any]]] = []

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        self.asked.append((statement, values))
        return self._tx.execute(statement, values)


@only_postgres
def test_windows_of_many_customers_are_looked_up_by_customer_whatever_postgresql_knows_of_them(
    service: Service,
) -> None:
    with service.ledger.read() as tx:
        listening: Any = Listening(tx)
        offer_uid = uuid4()
        activations(listening, [(f"customer {number}", offer_uid) for number in range(200)])
        ((statement, values),) = listening.asked
        plan = "\n".join(row[0] for row in tx.execute(f"EXPLAIN {statement}", values))
    assert "redemption_windows_by_customer" in plan
    assert "redemption_windows_by_offer" not in plan
