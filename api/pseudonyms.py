"""Under which name does a partner see a customer?

Each partner under another one, so that no two can join what they see. A pseudonym is the customer's id, encrypted without
any chance (AES-SIV, RFC 5297) under a key of the partner's own: the same customer always has the same one, and the service
can turn it back where a partner asks by it, without a table.
"""

import base64
import binascii
import hmac

from Crypto.Cipher import AES
from Crypto.Cipher._mode_siv import SivMode

TAG_BYTES = 16


class Pseudonyms:
    """`secret`: at least 32 bytes that nobody can guess."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, partner: str, customer_id: str) -> str:
        text, tag = self._cipher(partner).encrypt_and_digest(customer_id.encode())
        return base64.urlsafe_b64encode(tag + text).decode().rstrip("=")

    def customer(self, partner: str, pseudonym: str) -> str | None:
        """Whose it is; None if it is no pseudonym of that partner's."""
        try:
            sealed = base64.b64decode(pseudonym + "=" * (-len(pseudonym) % 4), altchars=b"-_", validate=True)
            customer_id = self._cipher(partner).decrypt_and_verify(sealed[TAG_BYTES:], sealed[:TAG_BYTES]).decode()
        except (binascii.Error, ValueError):
            return None
        # One thing has one name, however leniently base64 is read.
        return customer_id if self.of(partner, customer_id) == pseudonym else None

    def _cipher(self, partner: str) -> SivMode:
        return AES.new(hmac.digest(self._secret, partner.encode(), "sha512"), AES.MODE_SIV)
