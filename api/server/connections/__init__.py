"""Connections of the server: the HTTP protocol, its bounds, and the table of all connections."""
