"""Replies for finished runs."""
