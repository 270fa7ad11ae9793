"""A diff equals the comparison of two replays, and its causes lead from one state to the other."""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from api.audit.diff_routes import DiffRequest, diff_document
from api.http.as_of import AsOf
from api.service import Service
from domain.events import OfferEvent
from domain.offers.offer import ABSENT, Offer, evolve
from domain.values import Status
from projections.audit import offer_history
from projections.audit.change_kind import ChangeKind
from projections.audit.diff import COUNTED, TRANSIENT, NetChangeView
from projections.audit.event_item import EventView, changes_between
from tests.support.engine import examples
from tests.support.examples import PARTNER
from tests.support.histories.replayed_offers import replayed_offers
from tests.support.histories.traffic import RecordedEvent, Step, empty_service, history, steps

SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class Comparison(NamedTuple):
    """Two positions of a ledger, and a partner or None."""

    since: int
    until: int
    partner: str | None

    def request(self, kind: ChangeKind | None = None) -> DiffRequest:
        return DiffRequest(AsOf(position=self.since), AsOf(position=self.until), self.partner, kind)

    def states(self, events: list[RecordedEvent]) -> list[dict[str, dict[str, Any]]]:
        """Returns the earlier and the later offers by offerUid, from two replays."""
        replays = (replayed_offers(events, position, SOME_TIME) for position in (self.since, self.until))
        return [{o["offerUid"]: o for o in offers if self.partner in {None, o["partner"]}} for offers in replays]


@st.composite
def comparisons(draw: st.DrawFn, last: int) -> Comparison:
    since, until = sorted(draw(st.tuples(st.integers(0, last), st.integers(0, last))))
    return Comparison(since, until, draw(st.sampled_from([None, None, PARTNER, "harbor", "nobody"])))


def kinds_of(before: dict[str, Any] | None, after: dict[str, Any]) -> set[str]:
    """Returns the kinds of change between two states of an offer."""
    earlier, later = before["status"] if before else "absent", after["status"]
    if (earlier, later) == ("absent", "deleted"):
        return {TRANSIENT}
    is_kind = {
        "created": earlier == "absent",
        "updated": before is not None and before["contentDigest"] != after["contentDigest"],
        "paused": earlier != "paused" and later == "paused",
        "resumed": (earlier, later) == ("paused", "active"),
        "deleted": earlier in {"active", "paused"} and later == "deleted",
        "restored": earlier == "deleted" and later != "deleted",
    }
    return {kind for kind, applies in is_kind.items() if applies}


def listed(service: Service, request: DiffRequest) -> tuple[list[NetChangeView], dict[str, int]]:
    """Returns the changes of all pages of two items, and the counts."""
    items: list[NetChangeView] = []
    cursor: str | None = None
    while True:
        document = diff_document(service.ledger, request, cursor, 2)
        items += document["items"]
        cursor = document["nextCursor"]
        if cursor is None:
            return items, document["counts"]


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=14), st.data())
def test_diff_equals_the_comparison_of_two_replays(steps_taken: list[Step], data: st.DataObject) -> None:
    with empty_service() as (service, clock):
        for step in steps_taken:
            step(service, clock)
        events = history(service)
        comparison = data.draw(comparisons(events[-1].position), "comparison")
        earlier, later = comparison.states(events)
        kinds = {uid: kinds_of(earlier.get(uid), offer) for uid, offer in later.items()}
        found, counts = listed(service, comparison.request())
        assert {str(change.offer_uid): set(change.kinds) for change in found} == {
            uid: of_offer for uid, of_offer in kinds.items() if of_offer - {TRANSIENT}
        }
        assert counts == {kind: sum(kind in of_offer for of_offer in kinds.values()) for kind in COUNTED}
        for change in found:
            before, after = earlier.get(str(change.offer_uid)), later[str(change.offer_uid)]
            assert [(o["status"], o["version"]) for o in (before, after) if o] == [
                (state.status, state.version) for state in (change.before, change.after) if state
            ]
            expected = changes_between(_status(before), _status(after), _contents(before, after))
            assert change.changes == [field._asdict() for field in expected]
        for kind in ChangeKind:
            of_kind = [change for change in found if kind in change.kinds]
            assert listed(service, comparison.request(kind)) == (of_kind, counts), kind


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=14), st.data())
def test_causes_lead_from_the_earlier_state_to_the_later(steps_taken: list[Step], data: st.DataObject) -> None:
    with empty_service() as (service, clock):
        for step in steps_taken:
            step(service, clock)
        events = history(service)
        comparison = data.draw(comparisons(events[-1].position), "comparison")
        by_position = {recorded.position: recorded for recorded in events}
        for change in listed(service, comparison.request())[0]:
            causes = [by_position[cause.position] for cause in change.causes]
            assert comparison.since < causes[0].position
            stream_id = causes[0].stream_id
            of_offer = [e for e in events if e.stream_id == stream_id and isinstance(e.event, OfferEvent)]
            earlier, later = (
                _fold(ABSENT, [e for e in of_offer if e.position <= position])
                for position in (comparison.since, comparison.until)
            )
            folded = _fold(earlier, causes)
            assert (folded.status, folded.content_digest) == (later.status, later.content_digest)
            if change.before is None:
                assert causes == [e for e in of_offer if e.position <= comparison.until], "all from the creation on"
            if len(causes) == 1:
                (event,) = _events(service, change)
                assert event.changes == change.changes


def _fold(offer: Offer, events: list[RecordedEvent]) -> Offer:
    for recorded in events:
        offer = evolve(offer, recorded.event)
    return offer


def _events(service: Service, change: NetChangeView) -> list[EventView]:
    with service.ledger.recorder.read() as tx:
        return offer_history.events_of_versions(tx, {change.offer_uid: [cause.version for cause in change.causes]})


def _status(offer: dict[str, Any] | None) -> Status:
    return Status(offer["status"]) if offer else Status.ABSENT


def _contents(before: dict[str, Any] | None, after: dict[str, Any]) -> list[bytes]:
    if before and before["contentDigest"] == after["contentDigest"]:
        return []
    return [json.dumps(offer and offer["content"]).encode() for offer in (before, after)]
