"""Rebuilds, verifies and replays projections."""
