"""Server processes: the service, variants of it, and rivals."""
