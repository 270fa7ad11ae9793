"""How are facts kept? The recorders of the eventsourcing library, where one transaction is one transaction."""
