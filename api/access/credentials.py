"""Which names may partners and tokens have, which limits, and what is a token's secret?"""

import re
import secrets

PARTNER_NAME = "must be 1 to 64 letters, digits, dots, hyphens or underscores, not beginning with one of the signs"
TOKEN_NAME = "must be 1 to 64 printable characters, not beginning or ending with a space"  # noqa: S105 - says how it is
TOKEN_PARTNER = "must be given for the role partner, and for no other"  # noqa: S105 - the same
MAX_LIMIT = 10**9
"""No setting that counts something can be larger."""
DEFAULT_REQUESTS_PER_MINUTE = 600
MAX_TOKEN_NAME = 64
TOKEN_BYTES = 32


def is_partner_name(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is not None


def is_token_name(name: str) -> bool:
    return 1 <= len(name) <= MAX_TOKEN_NAME and name.isprintable() and name == name.strip()


def new_secret() -> str:
    """Nobody can guess it, and nobody is told it twice."""
    return secrets.token_urlsafe(TOKEN_BYTES)
