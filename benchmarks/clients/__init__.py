"""Load generators. Each of them runs in its own process."""
