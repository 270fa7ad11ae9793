"""Decides whether a child process has stalled. A process that works must not be terminated, however slow its machine is.

A child answers its parent. A child that does not answer may be busy: then it uses CPU time. A stopped process does neither.
Time is the sum of the intervals between the parent's checks. So a parent that was suspended blames no child for that.
"""

from msgspec import Struct


class Vitals(Struct, frozen=True):
    """The state of a child that its parent sees at a check: the number of answers so far, and the CPU time if it is known."""

    answers: int = 0
    cpu_seconds: float | None = None


class Patience(Struct, frozen=True):
    """The seconds that a parent waits for a child.

    `starting`: for the first answer. `idle`: for an answer of a child that uses no CPU time. `silent`: for an answer of a child
    that uses CPU time, or whose CPU time is not known."""

    starting: float
    idle: float
    silent: float


class ProcessWatch(Struct, frozen=True):
    """Result of the checks so far. The seconds count from the last answer, and from the last answer or use of the CPU."""

    vitals: Vitals = Vitals()
    silent_seconds: float = 0.0
    idle_seconds: float = 0.0


def observe_process(watch: ProcessWatch, vitals: Vitals, interval: float) -> ProcessWatch:
    """Returns the watch after a check. `interval`: the seconds between two checks."""
    before = watch.vitals
    if vitals.answers != before.answers:
        return ProcessWatch(vitals)
    is_idle = vitals.cpu_seconds is not None and vitals.cpu_seconds == before.cpu_seconds
    return ProcessWatch(vitals, watch.silent_seconds + interval, watch.idle_seconds + interval if is_idle else 0.0)


def has_stalled(watch: ProcessWatch, patience: Patience) -> bool:
    if not watch.vitals.answers:
        return watch.silent_seconds >= patience.starting
    return watch.idle_seconds >= patience.idle or watch.silent_seconds >= patience.silent
