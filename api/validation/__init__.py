"""Field types, and the field errors that callers see."""
