"""One connection without a token does not stop the others, whatever it sends."""

import pytest

from tests.hostile.attacks.registry import ATTACKS
from tests.hostile.conftest import SMALL
from tests.support.hostile.attack import require_answers, run_attack
from tests.support.hostile.memory import own_mebibytes
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target
from tests.support.waiting import wait_until

MOST_GROWTH_MIB = 24
NAMES = (
    "one-byte chunks without a token",
    "one-byte chunks with a token",
    "chunks of empty lines without a token",
    "requests sent ahead",
    "headers without end",
    "a header without end",
    "trailers without end",
    "a chunk extension without end",
)


@pytest.mark.parametrize("name", NAMES)
def test_others_are_answered_while_one_connection_sends_endlessly(target: Target, name: str) -> None:
    with watch_others(target) as others:
        report = run_attack(ATTACKS[name], target._replace(size=SMALL), others, seconds=1)
    require_answers(report)
    assert report.growth_mebibytes < MOST_GROWTH_MIB
    wait_until(lambda: own_mebibytes(target.pid) < report.rest_mebibytes + MOST_GROWTH_MIB / 2)
