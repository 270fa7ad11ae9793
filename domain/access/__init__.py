"""Decisions about partners and tokens."""
