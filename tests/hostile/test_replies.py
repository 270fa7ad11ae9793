"""Clients that do not read their replies leave the others their share."""

from tests.hostile.attacks.replies import STREAM, followers
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target
from tests.support.hostile.unread import UnreadReply, statuses, unread


def test_followers_at_the_same_moment_get_their_tokens_places_only(target: Target) -> None:
    with watch_others(target) as others, unread(followers(target)) as opened:
        assert statuses(opened) == {200: 10, 503: len(opened) - 10}
        with unread([UnreadReply(target, target.other, STREAM)]) as (follower,):
            assert follower.status() == 200
        assert others.failures() == []
    assert "Traceback" not in target.log.read_text()
