"""Actions that create, check, copy and migrate a ledger."""
