"""Actions that read offers, windows, runs and events."""
