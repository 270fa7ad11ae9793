"""The OpenAPI document: what FastAPI derives from the routes, and what its readers need beside it."""
