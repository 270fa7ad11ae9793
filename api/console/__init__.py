"""A window on the ledger for people: the same answers as the API's, as pages."""
