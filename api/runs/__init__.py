"""The life of a run: upload, acceptance, execution, report."""
