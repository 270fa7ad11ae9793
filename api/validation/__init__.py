"""Field types and field errors, in the words that callers see."""
