"""Read models: tables that answer queries, derived from the events and rebuilt from them at any time."""
