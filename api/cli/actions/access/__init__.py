"""Actions on partners and tokens."""
