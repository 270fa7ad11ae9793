"""Credentials, rate limits, pseudonyms and console sessions."""
