"""Bounds on what one caller may use, so that the other callers keep their share."""
