"""The web console: server-rendered pages that show the answers of the HTTP API."""
