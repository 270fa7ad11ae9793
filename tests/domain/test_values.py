"""Tests of stream ids and times."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain.values import Channel, OfferKey, from_microseconds, partner_uid, to_microseconds, token_uid, utc_text

parts = st.text(min_size=1, max_size=4)
keys = st.builds(OfferKey, parts, st.sampled_from(Channel), st.none() | parts, parts)


def test_offer_uid_never_changes() -> None:
    assert str(OfferKey("p", Channel.CUSTOM, None, "1").offer_uid) == "4ada4b83-99a6-5de9-8b84-9e8205867931"


@given(keys, keys)
def test_offer_uids_are_equal_if_and_only_if_keys_are(one: OfferKey, other: OfferKey) -> None:
    assert (one.offer_uid == other.offer_uid) is (one == other)


@given(keys)
def test_offer_uid_is_uuid5_of_a_json_array(key: OfferKey) -> None:
    namespace = UUID("6f0c1d52-7a6b-5d0e-9d5b-0ffe41ed6e40")
    assert key.offer_uid == uuid5(namespace, json.dumps(["offer", *key]))


def test_partner_and_token_with_same_name_have_different_streams() -> None:
    assert partner_uid("x") != token_uid("x")


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_round_trip(time: datetime) -> None:
    assert from_microseconds(to_microseconds(time)) == time


def test_utc_text_has_utc_and_six_fractional_digits() -> None:
    time = datetime(2026, 11, 22, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert utc_text(time) == "2026-11-22T10:30:00.000000Z"
