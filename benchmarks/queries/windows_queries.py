"""The queries of the benchmark `windows`, sent over HTTP."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2

from benchmarks.clients.query_client import Query
from benchmarks.fill.many_windows import DAYS, Past
from benchmarks.fill.seed_activations import AUDITOR, PUBLISHER, offer_uid
from benchmarks.queries.windows_lists import STEP, WindowList, window_lists
from domain.values import utc_text

LATER_OFFER = 500
"""The number of an offer that is not deleted; the customers of `_activate` have not activated it."""


class WindowQuery(NamedTuple):
    name: str
    execute: Query


class WindowQueries:
    """The queries to one server."""

    def __init__(self, url: str, past: Past) -> None:
        self._past = past
        self._http = httpx2.Client(base_url=url, timeout=600)

    def __iter__(self) -> Iterator[WindowQuery]:
        for window_list in window_lists(self._past):
            yield WindowQuery(window_list.name, partial(self._list, window_list, self._start(window_list)))
        yield WindowQuery(f"verdicts changed in {DAYS} days", self._changed)
        yield WindowQuery("the verdict on a purchase", self._verdict)
        yield WindowQuery("offers, redeemable=true", self._offers)
        yield WindowQuery("an activation", self._activate)

    def close(self) -> None:
        self._http.close()

    def _start(self, window_list: WindowList) -> str | None:
        """Returns the cursor of the measured page. It reads the list from its start, because cursors are opaque."""
        cursors: list[str | None] = [None]
        while window_list.share and (cursor := self._page(window_list, cursors[-1], 0)["nextCursor"]):
            cursors.append(cursor)
        return cursors[round(window_list.share * (len(cursors) - 1))]

    def _list(self, window_list: WindowList, cursor: str | None, turn: int) -> int:
        return len(self._page(window_list, cursor, turn)["items"])

    def _page(self, window_list: WindowList, cursor: str | None, turn: int) -> Any:
        parameters = window_list.parameters(turn) | ({"cursor": cursor} if cursor else {})
        return self._get("redemption-windows", parameters, window_list.secret)

    def _changed(self, _: int) -> int:
        since, until = self._past.began, self._past.began + timedelta(days=DAYS + 1)
        return len(self._get("audit/changed-verdicts", {"from": utc_text(since), "to": utc_text(until)})["items"])

    def _verdict(self, turn: int) -> int:
        customer_id, offer, transacted_at = self._purchase(turn)
        parameters = {"customerId": customer_id, "offerUid": str(offer), "transactedAt": utc_text(transacted_at)}
        return int(self._get("redemption-verdict", parameters)["valid"])

    def _offers(self, _: int) -> int:
        return len(self._get("offers", {"redeemable": "true"})["items"])

    def _activate(self, _: int) -> int:
        activation = {"customerId": f"later-{uuid4()}", "offerUid": str(offer_uid(LATER_OFFER))}
        reply = self._http.post("/api/v1/activations", json=activation, headers=_authorization(PUBLISHER))
        return len([reply.raise_for_status()])

    def _get(self, path: str, parameters: Mapping[str, str], secret: str = AUDITOR) -> Any:
        reply = self._http.get(f"/api/v1/{path}", params=dict(parameters), headers=_authorization(secret))
        return reply.raise_for_status().json()

    def _purchase(self, turn: int) -> tuple[str, UUID, datetime]:
        """Returns customer, offer and time of a purchase an hour after an activation."""
        number = turn * STEP % self._past.windows
        transacted_at = self._past.time_of(number) + timedelta(hours=1)
        return self._past.customer(number), offer_uid(self._past.offer(number)), transacted_at


def _authorization(secret: str) -> dict[str, str]:
    return {"Authorization": f"ApiToken {secret}"}
