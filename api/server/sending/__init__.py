"""Sends replies as fast as their clients read them, and no further ahead."""
