"""Reading offers, now and as of a past state."""
