"""Counts over time, settings and tokens: as they were is as they were seen then."""

from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.service import Service
from domain.store.commit import current_head, head_at_time
from domain.values import Channel
from projections.access.partners import list_partners, settings_at
from projections.access.tokens import list_tokens, tokens_at
from projections.offers.status_counts import counts, counts_over
from tests.support.engine import examples
from tests.support.examples import PARTNER
from tests.support.histories.traffic import Step, a_service, steps

WHOSE = [(None, None), (PARTNER, None), (None, Channel.MERCHANT), ("harbor", Channel.CUSTOM)]


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=1, max_size=8))
def test_counts_over_time_are_the_counts_of_each_time(history: list[Step]) -> None:
    with a_service() as (service, clock):
        moments: list[datetime] = [clock.now]
        for step in history:
            step(service, clock)
            clock.move(seconds=1)
            moments.append(clock.now)
        with service.ledger.recorder.read() as tx:
            for partner, channel in WHOSE:
                one_by_one = [counts(tx, partner, channel, head_at_time(tx, moment)) for moment in moments]
                assert counts_over(tx, partner, channel, moments) == one_by_one


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=1, max_size=8))
def test_settings_and_tokens_of_a_position_are_what_was_shown_then(history: list[Step]) -> None:
    with a_service() as (service, clock):
        shown = [_shown(service)]
        for step in history:
            step(service, clock)
            shown.append(_shown(service))
        with service.ledger.recorder.read() as tx:
            for position, then, tokens in shown:
                assert {name: settings_at(tx, name, position) for name in then} == then
                assert tokens_at(tx, position) == tokens
            assert settings_at(tx, PARTNER, 0) is None


def _shown(service: Service) -> tuple[int, dict[str, Any], Any]:
    """The position, and what is told of partners and tokens there."""
    with service.ledger.recorder.read() as tx:
        position = current_head(tx).position
        partners = {view.name: settings_at(tx, view.name, position) for view in list_partners(tx)}
        for view in list_partners(tx):
            told = partners[view.name]
            assert told
            assert (told.rps, told.missing_from_file, told.daily_quota) == (
                view.rps,
                view.missing_from_file,
                view.daily_quota,
            )
        return position, partners, list_tokens(tx)
