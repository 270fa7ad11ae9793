"""Exports and the replay database."""
