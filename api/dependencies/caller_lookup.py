"""Finds the caller of a request, and the limits of the caller's partner.

On PostgreSQL, requests that arrive during a query share the next one. There, each query is a round trip, and one query
per request took longer than the rest of the request.
"""

from collections.abc import Sequence

from msgspec import Struct

from api.server.group_commit import GroupCommit
from api.service import Service
from domain.ledgers.single_request_ledger import terms_and_quotas
from domain.single_requests.quota import PartnerTerms, Quota
from domain.store.retry import retry_transaction
from domain.values import to_microseconds
from projections.access.tokens import Caller, callers_lookup, partners_of_tokens


class CallerAndLimits(Struct, frozen=True):
    """`caller` is None without a valid token; `limits` is None if the caller is not a partner that exists."""

    caller: Caller | None
    limits: tuple[PartnerTerms, Quota] | None = None


class CallerLookup:
    """Belongs to the event loop of a server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._shared = GroupCommit[str, CallerAndLimits](self._find, fails_for_all=True)

    async def find(self, secret_sha256: str) -> CallerAndLimits:
        """Returns the present state; nothing is cached.

        On SQLite, this reads a few rows in the event loop. No writer delays it, and a thread would take longer."""
        if self._service.settings.is_shared:
            return await self._shared.submit(secret_sha256)
        return self._find([secret_sha256])[0]

    @retry_transaction
    def _find(self, secrets: Sequence[str]) -> Sequence[CallerAndLimits]:
        service = self._service
        with service.ledger.recorder.read() as tx:
            tokens = tx.dialect.in_list({*secrets})
            callers, terms, used = tx.read_together(
                callers_lookup(tokens, to_microseconds(service.clock())),
                *service.single_requests.terms_lookups(tx, partners_of_tokens(tokens)),
            )
        limits = terms_and_quotas(terms, used)
        return [_with_limits(callers.get(secret), limits) for secret in secrets]


def _with_limits(caller: Caller | None, limits: dict[str, tuple[PartnerTerms, Quota]]) -> CallerAndLimits:
    return CallerAndLimits(caller, limits.get(caller.partner) if caller and caller.partner else None)
