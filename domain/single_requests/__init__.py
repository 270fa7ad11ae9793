"""Single PUT and DELETE requests: decisions and quota."""
