"""Runs: the life cycle of batches and offers files, and the changes that they make."""
