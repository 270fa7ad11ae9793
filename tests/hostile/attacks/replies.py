"""Attacks by clients that do not read their replies, or that ask for many at the same moment."""

import time
from collections.abc import Sequence

from tests.support.hostile.attack import Attack
from tests.support.hostile.target import Target
from tests.support.hostile.unread import UnreadReply, unread

STREAM = "/api/v1/audit/stream"
FOLLOWERS = 220
"""More than a server accepts from all tokens together."""


def _wait_unread(replies: Sequence[UnreadReply], seconds: float) -> int:
    """Sends the requests at the same moment, and reads none of the replies for some seconds."""
    with unread(replies) as opened:
        time.sleep(seconds)
    return sum(len(reply.request) for reply in opened)


def followers(target: Target) -> list[UnreadReply]:
    return [UnreadReply(target, target.attacker, STREAM) for _ in range(FOLLOWERS)]


def follow_at_the_same_moment(target: Target, seconds: float) -> int:
    """Connects more followers of one token, at the same moment, than the server has places."""
    return _wait_unread(followers(target), seconds)


ATTACKS = (Attack("followers at the same moment", follow_at_the_same_moment),)
