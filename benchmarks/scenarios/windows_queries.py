"""What is asked of a ledger with many redemption windows, over HTTP?"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2

from benchmarks.clients.query_client import Ask
from benchmarks.fill.many_windows import DAYS, Past
from benchmarks.fill.seed_activations import AUDITOR, PUBLISHER, offer_uid
from benchmarks.scenarios.windows_lists import STEP, WindowList, window_lists
from domain.values import utc_text

LATER_OFFER = 500
"""One that is not deleted, and that nobody of those who come later has activated."""


class Question(NamedTuple):
    name: str
    ask: Ask


class Questions:
    """Those to the server of a ledger."""

    def __init__(self, url: str, past: Past) -> None:
        self._past = past
        self._http = httpx2.Client(base_url=url, timeout=600)

    def __iter__(self) -> Iterator[Question]:
        for asked in window_lists(self._past):
            yield Question(asked.name, partial(self._list, asked, self._start(asked)))
        yield Question(f"verdicts changed in {DAYS} days", self._changed)
        yield Question("the verdict on a purchase", self._verdict)
        yield Question("offers, redeemable=true", self._offers)
        yield Question("one more activation", self._activate)

    def close(self) -> None:
        self._http.close()

    def _start(self, asked: WindowList) -> str | None:
        """The cursor of where the page starts; the list is gone through from its start."""
        cursors: list[str | None] = [None]
        while asked.share and (cursor := self._page(asked, cursors[-1], 0)["nextCursor"]):
            cursors.append(cursor)
        return cursors[round(asked.share * (len(cursors) - 1))]

    def _list(self, asked: WindowList, cursor: str | None, turn: int) -> int:
        return len(self._page(asked, cursor, turn)["items"])

    def _page(self, asked: WindowList, cursor: str | None, turn: int) -> Any:
        parameters = asked.parameters(turn) | ({"cursor": cursor} if cursor else {})
        return self._get("redemption-windows", parameters, asked.secret)

    def _changed(self, _: int) -> int:
        since, until = self._past.began, self._past.began + timedelta(days=DAYS + 1)
        return len(self._get("audit/changed-verdicts", {"from": utc_text(since), "to": utc_text(until)})["items"])

    def _verdict(self, turn: int) -> int:
        customer_id, offer, moment = self._purchase(turn)
        parameters = {"customerId": customer_id, "offerUid": str(offer), "transactedAt": utc_text(moment)}
        return int(self._get("redemption-verdict", parameters)["valid"])

    def _offers(self, _: int) -> int:
        return len(self._get("offers", {"redeemable": "true"})["items"])

    def _activate(self, _: int) -> int:
        asked = {"customerId": f"later-{uuid4()}", "offerUid": str(offer_uid(LATER_OFFER))}
        reply = self._http.post("/api/v1/activations", json=asked, headers=_as(PUBLISHER))
        return len([reply.raise_for_status()])

    def _get(self, path: str, parameters: Mapping[str, str], secret: str = AUDITOR) -> Any:
        reply = self._http.get(f"/api/v1/{path}", params=dict(parameters), headers=_as(secret))
        return reply.raise_for_status().json()

    def _purchase(self, turn: int) -> tuple[str, UUID, datetime]:
        """Whose, of which offer and when, an hour after its activation."""
        number = turn * STEP % self._past.windows
        moment = self._past.moment(number) + timedelta(hours=1)
        return self._past.customer(number), offer_uid(self._past.offer(number)), moment


def _as(secret: str) -> dict[str, str]:
    return {"Authorization": f"ApiToken {secret}"}
