"""The periods of an offer agree with the fold of its events, and give its state as of any time."""

import json
from datetime import timedelta
from itertools import accumulate, product
from typing import Any

from api.service import Service
from domain.events import OfferCreated, OfferEvent
from domain.ledgers.ledger import OfferLedger
from domain.offers.offer import ABSENT, STATUS_AFTER, evolve
from domain.redemption.activation import OfferAsOf
from domain.store.commit import CommitContext
from domain.values import Status
from projections.offers.offer_as_of import content_of_version, offer_as_of
from tests.support.examples import EVERY_OFFER_EVENT, KEY
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.traffic import MERCHANTS, putting

LATER_EVENTS = [event for event in EVERY_OFFER_EVENT if not isinstance(event, OfferCreated)]
HISTORIES = list(product(EVERY_OFFER_EVENT, LATER_EVENTS, LATER_EVENTS))


def folded_periods(events: tuple[OfferEvent, ...]) -> list[tuple[Any, ...]]:
    """Returns version, status, status version, content version and new content digest after each event."""
    periods, status_version = [], 0
    for event, offer in zip(events, list(accumulate(events, evolve, initial=ABSENT))[1:], strict=True):
        status_version = offer.version if STATUS_AFTER[type(event)] else status_version
        digest = offer.content_digest if offer.content_version == offer.version else None
        periods.append((offer.version, offer.status, status_version, offer.content_version, digest))
    return periods


def test_periods_equal_the_fold_of_any_three_events(ledger: OfferLedger) -> None:
    keys = [KEY._replace(external_id=f"TP-{number}") for number in range(len(HISTORIES))]
    with ledger.recorder.write() as tx:
        changes = [(key.offer_uid, 0, list(events)) for key, events in zip(keys, HISTORIES, strict=True)]
        ledger.commit(tx, CommitContext(OPERATOR), changes)
    with ledger.recorder.read() as tx:
        for key, events in zip(keys, HISTORIES, strict=True):
            rows = tx.execute(
                "SELECT version, status, status_version, content_version, content_digest FROM offer_periods p"
                " JOIN streams s ON s.stream_id = p.offer_id WHERE s.stream_uid = ? ORDER BY version",
                (key.offer_uid.bytes,),
            ).fetchall()
            assert [tuple(row) for row in rows] == folded_periods(events), events


def test_offer_as_of_changes_at_the_recorded_time(service: Service, clock: Clock) -> None:
    uid, other = MERCHANTS[0].offer_uid, MERCHANTS[1]
    times = []
    for name in ("one", "two", None):
        clock.move(days=1)
        putting(MERCHANTS[0], name)(service, clock)
        putting(other, f"other {name}")(service, clock)
        times.append(clock.now)
    states = [OfferAsOf(), OfferAsOf(Status.ACTIVE, 1), OfferAsOf(Status.ACTIVE, 2), OfferAsOf(Status.DELETED, 3)]
    with service.ledger.recorder.read() as tx:
        for time, before, after in zip(times, states[:-1], states[1:], strict=True):
            found = [offer_as_of(tx, uid, at) for at in (time - timedelta(microseconds=1), time)]
            assert found == [before, after]
        names = [json.loads(bytes(content_of_version(tx, uid, version)))["offerName"] for version in (1, 2, 3)]
    assert names == ["one", "two", "two"]
