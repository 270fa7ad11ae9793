"""Business rules, their events, and the ledger that stores the events."""
