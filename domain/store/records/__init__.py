"""Primary records, one module per table group."""
