"""Reads bodies that arrive in pieces, in bounded memory."""
