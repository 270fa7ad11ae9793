"""Decisions about single PUT and DELETE requests."""
