"""Past counts, settings and tokens equal those that were shown at the time."""

from collections import Counter
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.service import Service
from domain.access.partner import SetPartner
from domain.store.commit import current_head, head_at_position, head_at_time
from domain.values import Channel
from projections.access.partners import list_partners, settings_as_of
from projections.access.tokens import list_tokens, tokens_as_of
from projections.offers.status_counts import COUNTED_STATUSES, counts, counts_as_of_times
from tests.support.engine import examples
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.replayed_offers import replayed_offers
from tests.support.histories.single_requests import delete, merchant_key, put
from tests.support.histories.traffic import Step, empty_service, history, steps

SCOPES: list[tuple[str | None, Channel | None]] = [
    (None, None),
    (PARTNER, None),
    (None, Channel.MERCHANT),
    ("harbor", Channel.CUSTOM),
]


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=1, max_size=8))
def test_counts_as_of_times_equal_the_counts_of_each_time(history: list[Step]) -> None:
    with empty_service() as (service, clock):
        times: list[datetime] = [clock.now]
        for step in history:
            step(service, clock)
            clock.move(seconds=1)
            times.append(clock.now)
        with service.ledger.recorder.read() as tx:
            for partner, channel in SCOPES:
                one_by_one = [counts(tx, partner, channel, head_at_time(tx, time)) for time in times]
                assert counts_as_of_times(tx, partner, channel, times) == one_by_one


def test_past_counts_equal_a_replay_for_three_partners(service: Service, clock: Clock) -> None:
    """The requests of a group are separate commits of one transaction."""
    keys = [
        merchant_key(f"MO-{number}", partner=partner) for partner in ("atoll", "harbor", PARTNER) for number in range(3)
    ]
    for partner in ("atoll", "harbor", PARTNER):
        service.ledger.handle(SetPartner(partner, daily_quota=0), OPERATOR)
    for requests in ([put(key) for key in keys], [delete(key) for key in keys[::2]], [put(key) for key in keys[:4]]):
        clock.move(seconds=1)
        service.single_requests.execute(requests)
    events = history(service)
    with service.ledger.recorder.read() as tx:
        for position in range(events[-1].position + 1):
            offers = replayed_offers(events, position, clock.now)
            for scope in SCOPES:
                shown = Counter(
                    offer["status"]
                    for offer in offers
                    if scope[0] in {None, offer["partner"]} and scope[1] in {None, offer["channel"]}
                )
                found = counts(tx, *scope, head_at_position(tx, position))
                assert found == {status: shown[status] for status in COUNTED_STATUSES}, position
        assert counts_as_of_times(tx, None, None, []) == []


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=1, max_size=8))
def test_past_settings_and_tokens_equal_those_shown_at_the_time(history: list[Step]) -> None:
    with empty_service() as (service, clock):
        shown = [_shown(service)]
        for step in history:
            step(service, clock)
            shown.append(_shown(service))
        with service.ledger.recorder.read() as tx:
            for position, partners, tokens in shown:
                assert {name: settings_as_of(tx, name, position) for name in partners} == partners
                assert tokens_as_of(tx, position) == tokens
            assert settings_as_of(tx, PARTNER, 0) is None


def _shown(service: Service) -> tuple[int, dict[str, Any], Any]:
    """Returns the position of the ledger, and the partners' settings and the tokens shown at it."""
    with service.ledger.recorder.read() as tx:
        position = current_head(tx).position
        partners = {view.name: settings_as_of(tx, view.name, position) for view in list_partners(tx)}
        for view in list_partners(tx):
            partner = partners[view.name]
            assert partner
            assert (partner.rps, partner.missing_from_file, partner.daily_quota) == (
                view.rps,
                view.missing_from_file,
                view.daily_quota,
            )
        return position, partners, list_tokens(tx)
