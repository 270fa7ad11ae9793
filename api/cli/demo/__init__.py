"""The command `offer-ledger demo`: an example day, played by callers over HTTP on a temporary ledger."""
