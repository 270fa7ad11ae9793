"""Contents and envelopes of very many values are refused unread."""

from tests.hostile.attacks.content import HUGE, envelope_of_many_members, offer_of_many_members, send
from tests.hostile.attacks.registry import ATTACKS
from tests.support.hostile.attack import require_answers, run_attack
from tests.support.hostile.bodies import BATCHES, MIB, OFFER
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target


def test_put_of_many_small_members_is_refused_unread(target: Target) -> None:
    reply = send(target, "PUT", OFFER.format(HUGE), offer_of_many_members(3 * MIB))
    assert (reply.status_code, reply.json()["type"]) == (400, "validation-error")
    with watch_others(target) as others:
        report = run_attack(ATTACKS["PUTs of many small members"], target, others, seconds=1)
    require_answers(report)
    assert report.growth_mebibytes < 150


def test_envelope_of_many_members_is_refused_unread(target: Target) -> None:
    reply = send(target, "POST", BATCHES, envelope_of_many_members(100_000), Content_Encoding="gzip")
    assert (reply.status_code, reply.json()["type"]) == (422, "validation-error")
    with watch_others(target) as others:
        report = run_attack(ATTACKS["envelopes of many members"], target, others, seconds=1)
    require_answers(report)
