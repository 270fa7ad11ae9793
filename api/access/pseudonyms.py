"""Pseudonyms of customers: each partner sees its own pseudonym for a customer, so partners cannot join their data.

A pseudonym is the customer's id, encrypted deterministically (AES-SIV, RFC 5297) with a key of the partner's own.
The same customer always has the same pseudonym, and the service can decrypt it without a table.
"""

import base64
import binascii
import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

CACHED_PARTNERS = 1024


class Pseudonyms:
    """Encrypts and decrypts pseudonyms. `secret` has at least 32 random bytes."""

    def __init__(self, secret: bytes) -> None:
        @lru_cache(CACHED_PARTNERS)
        def cipher(partner: str) -> AESSIV:
            return AESSIV(hmac.digest(secret, partner.encode(), "sha512"))

        self._cipher = cipher

    def of(self, partner: str, customer_id: str) -> str:
        sealed = self._cipher(partner).encrypt(customer_id.encode(), None)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def customer(self, partner: str, pseudonym: str) -> str | None:
        """Returns the customer's id, or None if the text is not a pseudonym of that partner."""
        try:
            sealed = base64.b64decode(pseudonym + "=" * (-len(pseudonym) % 4), altchars=b"-_", validate=True)
            customer_id = self._cipher(partner).decrypt(sealed, None).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None
        # The base64 decoder accepts several forms of the same bytes; only the canonical one is a pseudonym.
        return customer_id if self.of(partner, customer_id) == pseudonym else None
