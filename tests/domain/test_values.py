"""Identities and times."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain.values import Channel, OfferKey, from_microseconds, partner_uid, to_microseconds, token_uid, utc_text

parts = st.text(min_size=1, max_size=4)
keys = st.builds(OfferKey, parts, st.sampled_from(Channel), st.none() | parts, parts)


def test_an_offer_uid_is_the_same_for_ever() -> None:
    assert str(OfferKey("p", Channel.CUSTOM, None, "1").offer_uid) == "4ada4b83-99a6-5de9-8b84-9e8205867931"


@given(keys, keys)
def test_offers_have_one_uid_exactly_when_they_have_one_key(one: OfferKey, other: OfferKey) -> None:
    assert (one.offer_uid == other.offer_uid) is (one == other)


@given(keys)
def test_an_offer_uid_is_made_from_a_json_array(key: OfferKey) -> None:
    space = UUID("6f0c1d52-7a6b-5d0e-9d5b-0ffe41ed6e40")
    assert key.offer_uid == uuid5(space, json.dumps(["offer", *key]))


def test_a_partner_and_a_token_of_one_name_are_different_streams() -> None:
    assert partner_uid("x") != token_uid("x")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_stored_time_is_the_time_that_was_stored(moment: datetime) -> None:
    assert from_microseconds(to_microseconds(moment)) == moment


def test_times_are_shown_in_utc_with_six_digits() -> None:
    moment = datetime(2026, 11, 22, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert utc_text(moment) == "2026-11-22T10:30:00.000000Z"
