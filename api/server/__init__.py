"""Runtime of a server process: group commit, streaming, shutdown."""
