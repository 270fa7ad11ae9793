"""Past counts, settings and tokens equal those that were shown at the time."""

from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.service import Service
from domain.store.commit import current_head, head_at_time
from domain.values import Channel
from projections.access.partners import list_partners, settings_as_of
from projections.access.tokens import list_tokens, tokens_as_of
from projections.offers.status_counts import counts, counts_as_of_times
from tests.support.engine import examples
from tests.support.examples import PARTNER
from tests.support.histories.traffic import Step, empty_service, steps

SCOPES = [(None, None), (PARTNER, None), (None, Channel.MERCHANT), ("harbor", Channel.CUSTOM)]


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
