"""Many requests without a token do not stop the others."""

from tests.hostile.attacks.registry import ATTACKS
from tests.support.hostile.attack import require_answers, run_attack
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target


def test_others_are_answered_while_requests_have_no_token(target: Target) -> None:
    with watch_others(target) as others:
        report = run_attack(ATTACKS["requests without a token"], target, others, seconds=1)
    require_answers(report)
    assert report.growth_mebibytes < 64
