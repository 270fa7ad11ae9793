"""Under which name does a partner see a customer?

Each partner under another one, so that no two can join what they see. A pseudonym is the customer's id, encrypted without
any chance (AES-SIV, RFC 5297) under a key of the partner's own: the same customer always has the same one, and the service
can turn it back where a partner asks by it, without a table.
"""

import base64
import binascii
import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

PARTNERS_KEPT = 1024


class Pseudonyms:
    """`secret`: at least 32 bytes that nobody can guess."""

    def __init__(self, secret: bytes) -> None:
        @lru_cache(PARTNERS_KEPT)
        def cipher(partner: str) -> AESSIV:
            return AESSIV(hmac.digest(secret, partner.encode(), "sha512"))

        self._cipher = cipher

    def of(self, partner: str, customer_id: str) -> str:
        sealed = self._cipher(partner).encrypt(customer_id.encode(), None)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def customer(self, partner: str, pseudonym: str) -> str | None:
        """Whose it is; None if it is no pseudonym of that partner's."""
        try:
            sealed = base64.b64decode(pseudonym + "=" * (-len(pseudonym) % 4), altchars=b"-_", validate=True)
            customer_id = self._cipher(partner).decrypt(sealed, None).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None
        # One thing has one name, however leniently base64 is read.
        return customer_id if self.of(partner, customer_id) == pseudonym else None
