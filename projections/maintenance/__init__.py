"""Rebuild, verify and replay projections."""
