"""Whose token is it, and what limits its partner? On a shared ledger it is asked once for all who come meanwhile.

There every question is a way to another machine and back; asked for each request, they take longer than all the rest of it.
"""

from collections.abc import Sequence

from msgspec import Struct

from api.server.group_commit import GroupCommit
from api.service import Service
from domain.single_requests.quota import PartnerTerms, Quota
from domain.store.retry import retry_transaction
from domain.values import to_microseconds
from projections.access.tokens import Caller, find_callers


class CallerAndLimits(Struct, frozen=True):
    """None of what there is not: a token that may be used; a partner whose it is."""

    caller: Caller | None
    limits: tuple[PartnerTerms, Quota] | None = None


class CallerLookup:
    """Lives in the event loop of a server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._shared = GroupCommit[str, CallerAndLimits](self._find, fails_for_all=True)

    async def find(self, secret_sha256: str) -> CallerAndLimits:
        """As it is now: nothing is kept. On a ledger of its own it is a few rows of a snapshot, which no writer holds up; a thread
        would take longer for them."""
        if self._service.settings.is_shared:
            return await self._shared.submit(secret_sha256)
        return self._find([secret_sha256])[0]

    @retry_transaction
    def _find(self, secrets: Sequence[str]) -> Sequence[CallerAndLimits]:
        service = self._service
        with service.ledger.recorder.read() as tx:
            callers = find_callers(tx, {*secrets}, to_microseconds(service.clock()))
            partners = {caller.partner for caller in callers.values() if caller.partner is not None}
            limits = service.single_requests.terms_of(tx, partners) if partners else {}
        return [_found(callers.get(secret), limits) for secret in secrets]


def _found(caller: Caller | None, limits: dict[str, tuple[PartnerTerms, Quota]]) -> CallerAndLimits:
    return CallerAndLimits(caller, limits.get(caller.partner) if caller and caller.partner else None)
