"""Reads the tables of the projections, and changes tables with SQL as an operator with a database shell could."""

from domain.ledgers.ledger import OfferLedger
from projections.projector import PROJECTIONS


def change_by_hand(ledger: OfferLedger, *statements: str) -> None:
    with ledger.recorder.write() as tx:
        for statement in statements:
            tx.execute(statement)


def projection_rows(ledger: OfferLedger) -> list[tuple[object, ...]]:
    with ledger.recorder.read() as tx:
        return [
            tuple(row)
            for projection in PROJECTIONS
            for row in tx.execute(f"SELECT * FROM {projection.name} ORDER BY {', '.join(projection.key)}")
        ]
