"""Sessions of the console: a signed cookie that identifies the user's token for one hour.

The cookie holds the digest of the token. Every page reads the token from the ledger, so its sessions end when it is
revoked.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property

import msgspec
from fastapi import Request, Response
from itsdangerous import BadData, URLSafeSerializer
from msgspec import Struct

from domain.values import to_microseconds

COOKIE = "offer-ledger-console"
CONSOLE = "/console"
SESSION_LIFETIME = timedelta(hours=1)
RENEW_AFTER = timedelta(minutes=1)
"""A session of this age is renewed with the next page, so an active user stays signed in."""


class Session(Struct, frozen=True):
    """The content of the cookie. `began` is in microseconds since 1970. `key` is unique to the session."""

    token_sha256: str
    key: str
    began: int

    def is_current(self, now: datetime) -> bool:
        return self._age(now) < SESSION_LIFETIME

    def needs_renewal(self, now: datetime) -> bool:
        return self._age(now) >= RENEW_AFTER

    def _age(self, now: datetime) -> timedelta:
        return timedelta(microseconds=to_microseconds(now) - self.began)


class Sessions:
    """Creates and verifies sessions. `load_key` returns at least 32 random bytes; all processes of a ledger share them.

    It is called at the first use, so that only processes that serve the console have a key."""

    def __init__(self, load_key: Callable[[], bytes]) -> None:
        self._load_key = load_key

    @cached_property
    def _key(self) -> bytes:
        return self._load_key()

    @cached_property
    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(
            hmac.digest(self._key, b"sessions of the console", "sha256"),
            "session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def prepare(self) -> None:
        """Loads the key. Raises UnusableKey at the start of a server, not at the first sign-in."""
        assert self._key

    def create(self, token_sha256: str, now: datetime, key: str | None = None) -> Session:
        """Creates a session. To renew one, pass its `key`: forms that are already open stay valid."""
        return Session(token_sha256, key or secrets.token_urlsafe(16), to_microseconds(now))

    def find(self, request: Request, now: datetime) -> Session | None:
        """Returns the session of a request, or None if it has none, an expired one or an invalid cookie."""
        try:
            session = msgspec.convert(self._serializer.loads(request.cookies.get(COOKIE, "")), Session)
        except (BadData, msgspec.ValidationError):
            return None
        return session if session.is_current(now) else None

    def set_cookie(self, response: Response, session: Session, *, secure: bool) -> None:
        """Sets the cookie. With `secure`, for requests over HTTPS, the browser sends it over HTTPS only."""
        response.set_cookie(
            COOKIE,
            str(self._serializer.dumps(msgspec.to_builtins(session))),
            max_age=int(SESSION_LIFETIME.total_seconds()),
            path=CONSOLE,
            secure=secure,
            httponly=True,
            samesite="lax",
        )

    @cached_property
    def _forms_key(self) -> bytes:
        return hmac.digest(self._key, b"forms of the console", "sha256")

    def form_token(self, session: Session) -> str:
        """Returns the secret that every form of the session contains, against cross-site request forgery."""
        return hmac.new(self._forms_key, session.key.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, session: Session, sent: str) -> bool:
        return hmac.compare_digest(self.form_token(session).encode(), sent.encode())


def delete_session_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, path=CONSOLE, httponly=True, samesite="lax")
