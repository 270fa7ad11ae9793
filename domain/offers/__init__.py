"""Decisions about one offer."""
