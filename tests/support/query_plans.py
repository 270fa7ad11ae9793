"""Records the query plan that SQLite chooses for a statement."""

from collections.abc import Sequence
from typing import Any

from domain.store.cursor import Cursor


class ExplainedCursor:
    """A cursor that records the steps of the plan for the statement that contains `marker`."""

    def __init__(self, tx: Cursor, marker: str) -> None:
        self._tx, self._marker, self.steps = tx, marker, list[str]()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        if self._marker in sql:
            self.steps = [row[3] for row in self._tx.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()]
        return self._tx.execute(sql, parameters)
