"""Stores events and primary records in SQLite or PostgreSQL, behind the recorder interface of the eventsourcing library."""
