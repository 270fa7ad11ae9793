"""Read models of events and changes."""
