"""The place of one upload among those of its partner, and the count of refused uploads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.dependencies.authentication import count_refused_upload, require_accepted_uploads
from api.dependencies.waiting_bodies import SMALL_UPLOAD_BYTES
from api.http.problems import Problem
from api.server.bodies.body_problems import too_many_uploads
from api.service import Service
from domain.refusals import Refused
from projections.access.tokens import Caller


class UploadPlace:
    """An upload over SMALL_UPLOAD_BYTES has a place from the time at which its size is known until it becomes a run."""

    def __init__(self, places: Allowance, partner: str) -> None:
        self._places, self._partner = places, partner
        self._is_taken = False
        self.is_accepted = False

    def require(self, size: int) -> None:
        """Takes a place for a body of this size. Raises Problem 429 if the partner has none left."""
        if self._is_taken or size <= SMALL_UPLOAD_BYTES:
            return
        try:
            self._places.take(self._partner)
        except AllowanceExceeded as error:
            raise too_many_uploads(self._places, error) from None
        self._is_taken = True

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._places.give_back(self._partner)


@asynccontextmanager
async def enter_upload(
    request: Request, service: Service, caller: Caller, places: Allowance
) -> AsyncIterator[UploadPlace]:
    """Checks the bounds on uploads before the body is read, and counts the upload if it is refused.

    Raises Problem 429. The place of a body without `Content-Length`, or of a compressed one, is taken while it arrives."""
    await require_accepted_uploads(service, caller)
    place = UploadPlace(places, caller.partner or "")
    place.require(int(request.headers.get("Content-Length", "0")))
    try:
        yield place
    except (Problem, Refused, ClientDisconnect) as refusal:
        if not place.is_accepted and _counts(refusal):
            await count_refused_upload(service, caller)
        raise
    finally:
        place.leave()


def _counts(refusal: Exception) -> bool:
    """Returns False for a fault of the service, and for a bound that other uploads of the partner have reached."""
    if isinstance(refusal, Problem):
        return refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR and refusal.status != HTTPStatus.TOO_MANY_REQUESTS
    return True
