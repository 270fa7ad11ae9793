"""The command line, `offer-ledger`, for operators and auditors."""
