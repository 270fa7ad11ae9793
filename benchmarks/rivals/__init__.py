"""Rivals: short services for the same requests, built on common libraries and without avoidable overhead."""
