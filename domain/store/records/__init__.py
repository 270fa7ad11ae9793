"""Reads and writes primary records: one module per group of tables."""
