"""Queries that the scenarios of past states and of redemption windows measure."""
