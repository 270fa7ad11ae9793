"""Read models of events and of changes between two states."""
