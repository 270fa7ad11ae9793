"""What is asked of a ledger with many redemption windows? Each question inside the process, and over HTTP."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2

from api.verdicts import verdict_document
from api.wiring import Service
from benchmarks.activatable import AUDITOR, BENCHMARK, PUBLISHER, offer_uid
from benchmarks.windows_fill import DAYS, Past
from benchmarks.windows_lists import STEP, WindowList, window_lists
from domain.activation import Activate
from domain.activation_group import ActivationRequest
from domain.store.commit import head_of
from domain.values import utc_text
from projections import changed_verdicts, inventory, windows_at
from projections.changed_verdicts import Span
from projections.inventory import OfferFilter
from projections.windows_at import START, Sight, WindowPlace

LIMIT = 100
"""As it is by default."""
LATER_OFFER = 500
"""One that is not deleted, and that nobody of those who come later has activated."""

Ask = Callable[[int], int]
"""Answers how many items were found; turn after turn something else is asked for, where there is something else."""


class Question(NamedTuple):
    name: str
    inside: Ask
    outside: Ask


class Questions:
    """Those to a ledger and its server."""

    def __init__(self, service: Service, url: str, past: Past) -> None:
        self._service = service
        self._past = past
        self._http = httpx2.Client(base_url=url, timeout=600)

    def __iter__(self) -> Iterator[Question]:
        for asked in window_lists(self._past):
            place, cursor = self._start(asked)
            yield Question(asked.name, partial(self._list, asked, place), partial(self._get_list, asked, cursor))
        for days in (1, DAYS):
            span = Span(self._past.began + timedelta(days=DAYS - days), self._past.began + timedelta(days=DAYS + 1))
            name = f"verdicts changed in {days} days"
            yield Question(name, partial(self._changed, span), partial(self._get_changed, span))
        yield Question("the verdict on a purchase", self._verdict, self._get_verdict)
        yield Question("offers, redeemable=true", self._offers, self._get_offers)
        yield Question("one more activation", self._activate, self._post_activation)

    def close(self) -> None:
        self._http.close()

    def _start(self, asked: WindowList) -> tuple[WindowPlace, str | None]:
        """Where the page starts, inside and over HTTP; the list is gone through from its start."""
        places: list[WindowPlace] = [START]
        cursors: list[str | None] = [None]
        while asked.share and (place := self._page(asked, places[-1], 0).next_after):
            places.append(place)
            cursors.append(self._get_page(asked, cursors[-1], 0)["nextCursor"])
        index = round(asked.share * (len(places) - 1))
        return places[index], cursors[index]

    # Inside

    def _list(self, asked: WindowList, start: WindowPlace, turn: int) -> int:
        return len(self._page(asked, start, turn).items)

    def _page(self, asked: WindowList, start: WindowPlace, turn: int) -> windows_at.WindowPage:
        with self._service.ledger.recorder.reading() as tx:
            now = self._service.ledger.present(tx)
            sight = Sight(asked.at or now, head_of(tx).recorded_at or now)
            return windows_at.page(tx, asked.wanted(turn), sight, start, LIMIT)

    def _changed(self, span: Span, _: int) -> int:
        with self._service.ledger.recorder.reading() as tx:
            return len(changed_verdicts.page(tx, span, None, changed_verdicts.START, LIMIT).items)

    def _verdict(self, turn: int) -> int:
        customer_id, offer, moment = self._purchase(turn)
        return int(verdict_document(self._service.ledger, customer_id, offer, moment, None)["valid"])

    def _offers(self, _: int) -> int:
        with self._service.ledger.recorder.reading() as tx:
            return len(inventory.page(tx, OfferFilter(redeemable=True), self._service.clock(), 0, LIMIT).items)

    def _activate(self, _: int) -> int:
        asked = Activate(f"later-{uuid4()}", offer_uid(LATER_OFFER))
        return len(self._service.activations.carry_out([ActivationRequest(BENCHMARK, asked, uuid4())]))

    # Over HTTP

    def _get_list(self, asked: WindowList, cursor: str | None, turn: int) -> int:
        return len(self._get_page(asked, cursor, turn)["items"])

    def _get_page(self, asked: WindowList, cursor: str | None, turn: int) -> Any:
        parameters = asked.parameters(turn) | ({"cursor": cursor} if cursor else {})
        return self._get("redemption-windows", parameters, asked.secret)

    def _get_changed(self, span: Span, _: int) -> int:
        parameters = {"from": utc_text(span.since), "to": utc_text(span.until)}
        return len(self._get("audit/changed-verdicts", parameters)["items"])

    def _get_verdict(self, turn: int) -> int:
        customer_id, offer, moment = self._purchase(turn)
        parameters = {"customerId": customer_id, "offerUid": str(offer), "transactedAt": utc_text(moment)}
        return int(self._get("redemption-verdict", parameters)["valid"])

    def _get_offers(self, _: int) -> int:
        return len(self._get("offers", {"redeemable": "true"})["items"])

    def _post_activation(self, _: int) -> int:
        asked = {"customerId": f"later-{uuid4()}", "offerUid": str(offer_uid(LATER_OFFER))}
        reply = self._http.post("/api/v1/activations", json=asked, headers=_as(PUBLISHER))
        return len([reply.raise_for_status()])

    def _get(self, path: str, parameters: Mapping[str, str], secret: str = AUDITOR) -> Any:
        reply = self._http.get(f"/api/v1/{path}", params=dict(parameters), headers=_as(secret))
        return reply.raise_for_status().json()

    # What for

    def _purchase(self, turn: int) -> tuple[str, UUID, datetime]:
        """Whose, of which offer and when, an hour after its activation."""
        number = turn * STEP % self._past.windows
        moment = self._past.moment(number) + timedelta(hours=1)
        return self._past.customer(number), offer_uid(self._past.offer(number)), moment


def _as(secret: str) -> dict[str, str]:
    return {"Authorization": f"ApiToken {secret}"}
