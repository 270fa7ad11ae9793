"""Events, streams and diffs for auditors."""
