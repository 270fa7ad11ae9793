"""Decisions about runs: batches and offers files."""
