"""Who looks, from one page to the next? A signed cookie says by which token somebody has signed in, for an hour.

It holds the digest of the token, which is looked up anew for every page: with the token, the session ends.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

import msgspec
from fastapi import Request, Response
from itsdangerous import BadData, URLSafeSerializer
from msgspec import Struct

from domain.values import to_microseconds

COOKIE = "offer-ledger-console"
CONSOLE = "/console"
LASTS = timedelta(hours=1)
RENEWED_AFTER = timedelta(minutes=1)
"""Whoever goes on looking stays signed in."""


class Session(Struct, frozen=True):
    """`began`: in microseconds since 1970; `key` tells it from every other one."""

    token_sha256: str
    key: str
    began: int

    def lasts(self, now: datetime) -> bool:
        return self._age(now) < LASTS

    def is_to_be_renewed(self, now: datetime) -> bool:
        return self._age(now) >= RENEWED_AFTER

    def _age(self, now: datetime) -> timedelta:
        return timedelta(microseconds=to_microseconds(now) - self.began)


class Sessions:
    """`secret`: at least 32 bytes that nobody can guess; all processes that serve a ledger have the same."""

    def __init__(self, secret: bytes) -> None:
        key = hmac.digest(secret, b"sessions of the console", "sha256")
        self._serializer = URLSafeSerializer(
            key, "session", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
        )
        self._forms = hmac.digest(secret, b"forms of the console", "sha256")

    def begin(self, token_sha256: str, now: datetime, key: str | None = None) -> Session:
        """`key`: of the session that goes on, if one does."""
        return Session(token_sha256, key or secrets.token_urlsafe(16), to_microseconds(now))

    def find(self, request: Request, now: datetime) -> Session | None:
        """The session that a request belongs to, if it still lasts."""
        try:
            session = msgspec.convert(self._serializer.loads(request.cookies.get(COOKIE, "")), Session)
        except (BadData, msgspec.ValidationError):
            return None
        return session if session.lasts(now) else None

    def keep(self, response: Response, session: Session, *, secure: bool) -> None:
        """`secure`: whether the browser has come by HTTPS, and is to send it by nothing else."""
        response.set_cookie(
            COOKIE,
            str(self._serializer.dumps(msgspec.to_builtins(session))),
            max_age=int(LASTS.total_seconds()),
            path=CONSOLE,
            secure=secure,
            httponly=True,
            samesite="lax",
        )

    def form_token(self, session: Session) -> str:
        """What every form of a session's pages sends along, and nobody else can know."""
        return hmac.new(self._forms, session.key.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, session: Session, sent: str) -> bool:
        return hmac.compare_digest(self.form_token(session).encode(), sent.encode())


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, path=CONSOLE, httponly=True, samesite="lax")
