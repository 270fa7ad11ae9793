"""Read models of partners and tokens."""
