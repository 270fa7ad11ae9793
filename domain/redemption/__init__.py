"""Decisions about activations and redemptions."""
