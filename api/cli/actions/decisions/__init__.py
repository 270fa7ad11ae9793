"""Decisions of operators: holds and releases of offers, and undone runs."""
