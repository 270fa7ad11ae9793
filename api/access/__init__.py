"""Credentials, rate limits, pseudonyms, console sessions, and files that only their owner may read."""
