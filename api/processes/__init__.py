"""Child processes of a server: how they start, how a server watches them, and how they end."""
