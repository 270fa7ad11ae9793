"""Delivery and wiring: HTTP, the command line, and what they are put together from."""
