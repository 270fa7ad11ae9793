"""Floors: raw writes of the same rows, the lower bound of each time."""
