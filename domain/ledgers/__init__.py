"""Application services: each decision in one transaction."""
