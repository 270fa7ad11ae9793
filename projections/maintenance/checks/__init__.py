"""Parts of the verification of a ledger: each module checks one group of tables."""
