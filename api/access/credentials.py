"""Rules for the names and limits of partners and tokens, and new token secrets."""

import re
import secrets

PARTNER_NAME_RULE = "must be 1 to 64 letters, digits, dots, hyphens or underscores, starting with a letter or digit"
NAME_RULE = "must be 1 to 64 printable characters, without a space at the start or end"
PARTNER_RULE = "is required for the role partner, and not allowed for other roles"
MAX_LIMIT = 10**9
"""The largest value of any limit."""
DEFAULT_REQUESTS_PER_MINUTE = 600
MAX_TOKEN_NAME = 64
TOKEN_BYTES = 32


def is_partner_name(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is not None


def is_token_name(name: str) -> bool:
    return 1 <= len(name) <= MAX_TOKEN_NAME and name.isprintable() and name == name.strip()


def new_secret() -> str:
    """Returns a random secret. The service shows it once and stores only its digest."""
    return secrets.token_urlsafe(TOKEN_BYTES)
