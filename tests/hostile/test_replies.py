"""Clients that do not read their replies leave the others their share."""

import pytest

from tests.hostile.attacks.registry import ATTACKS
from tests.hostile.attacks.replies import OFFERS, STREAM, followers, put_large_offers, replays, send_failing_batch
from tests.hostile.conftest import Serve
from tests.support.hostile.attack import require_answers, run_attack
from tests.support.hostile.memory import own_mebibytes
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target
from tests.support.hostile.unread import UnreadReply, statuses, unread
from tests.support.waiting import wait_until


def test_followers_at_the_same_moment_get_their_tokens_places_only(target: Target) -> None:
    with watch_others(target) as others, unread(followers(target)) as opened:
        assert statuses(opened) == {200: 10, 503: len(opened) - 10}
        with unread([UnreadReply(target, target.other, STREAM)]) as (follower,):
            assert follower.status() == 200
        assert others.failures() == []
    assert "Traceback" not in target.log.read_text()


@pytest.mark.parametrize(
    ("name", "mebibytes"),
    [
        ("event streams that nobody reads", 200),
        ("pages that nobody reads", 300),
        ("followers that do not read large events", 300),
        ("replays that nobody reads", 150),
    ],
)
def test_others_are_answered_while_replies_are_not_read(serve: Serve, name: str, mebibytes: int) -> None:
    attack = ATTACKS[name]
    with serve() as target:
        attack.prepare(target)
        with watch_others(target) as others:
            report = run_attack(attack, target, others, seconds=4)
        require_answers(report)
        assert report.growth_mebibytes < mebibytes
        wait_until(lambda: own_mebibytes(target.pid) < report.rest_mebibytes + 100)


def test_large_replays_get_their_tokens_places_only(serve: Serve) -> None:
    with serve() as target:
        send_failing_batch(target)
        with unread(replays(target, 4)) as opened:
            assert statuses(opened) == {422: 2, 503: 2}


def test_unread_reply_is_cut_off_but_no_idle_follower(serve: Serve) -> None:
    with serve(REPLY_PROGRESS_SECONDS="1") as target:
        put_large_offers(target, count=1)
        replies = [UnreadReply(target, target.attacker, path) for path in (OFFERS, STREAM)]
        with unread(replies) as (page, follower):
            assert statuses([page, follower]) == {200: 2}
            wait_until(lambda: "cut off a reply" in target.log.read_text())
            assert not follower.is_cut_off(seconds=2)
