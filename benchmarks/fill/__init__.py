"""Ledgers and bodies that benchmarks measure."""
