"""Runs an attack on a server, and reports what the others got meanwhile."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.support.hostile.memory import own_mebibytes, watch_peak
from tests.support.hostile.others import CALLS, Others
from tests.support.hostile.target import Target


def prepare_nothing(_: Target) -> None:
    """The attack needs nothing beforehand."""


class Attack(NamedTuple):
    """An attack. `run` attacks for about so many seconds, ends all its connections, and returns the bytes that it sent."""

    name: str
    run: Callable[[Target, float], int]
    prepare: Callable[[Target], None] = prepare_nothing
    """Sends what the attack needs, such as large offers, before the others are watched."""
    environment: Mapping[str, str] = {}
    """Settings of the attacked server."""
    open_files: int | None = None
    """The most descriptors that the attacked server may open."""


class AttackReport(NamedTuple):
    """The effect of an attack. Times are seconds of the monotonic clock, memory is in MiB."""

    started: float
    ended: float
    sent_bytes: int
    rest_mebibytes: float
    """The memory before the attack."""
    peak_mebibytes: float
    longest_waits: Mapping[str, float]
    """The others' longest wait by call. A call that waits when the attack ends counts until its answer."""
    failures: tuple[str, ...]
    answered: Mapping[str, int]
    """The others' calls that both began and ended during the attack."""

    @property
    def growth_mebibytes(self) -> float:
        return self.peak_mebibytes - self.rest_mebibytes


def run_attack(attack: Attack, target: Target, others: Others, seconds: float) -> AttackReport:
    """Runs a prepared attack while the others are watched, and waits for the answers to their present calls."""
    rest = own_mebibytes(target.pid)
    with watch_peak(target.pid) as peak:
        started = time.monotonic()
        sent = attack.run(target, seconds)
        ended = time.monotonic()
        others.wait_until_answered()
    return AttackReport(
        started,
        ended,
        sent,
        rest,
        peak.mebibytes,
        {call: others.longest_wait(call, started) for call in CALLS},
        tuple(others.failures(started)),
        {call: sum(seen.ended <= ended for seen in others.answers(call, started)) for call in CALLS},
    )


def require_answers(report: AttackReport) -> None:
    """Requires that the others' calls succeeded, and that some of each kind began and ended during the attack."""
    assert report.failures == ()
    assert all(report.answered.values()), report.answered
