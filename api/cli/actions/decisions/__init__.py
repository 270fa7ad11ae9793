"""Decisions of operators: holds and releases of offers."""
