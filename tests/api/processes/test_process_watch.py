"""Laws of the decision whether a child process has stalled."""

from hypothesis import given
from hypothesis import strategies as st

from api.processes.process_watch import Patience, ProcessWatch, Vitals, has_stalled, observe_process

PATIENCE = Patience(starting=60, idle=15, silent=120)
ANSWERS, USES = st.booleans(), st.booleans()


def stalls_at(*checks: tuple[bool, bool | None]) -> int | None:
    """Returns the number of the check that finds a stalled process, one check each second.

    Each check says whether the process has answered since the last one, and whether it has used CPU time, if that is known."""
    watch, answers, cpu = ProcessWatch(), 0, 0.0
    for number, (has_answered, has_used) in enumerate(checks, 1):
        answers += has_answered
        cpu += bool(has_used)
        watch = observe_process(watch, Vitals(answers, None if has_used is None else cpu), 1)
        if has_stalled(watch, PATIENCE):
            return number
    return None


STARTED = (True, True)


def test_process_that_never_answered_has_its_time_to_start() -> None:
    assert stalls_at(*[(False, False)] * 59, STARTED) is None
    assert stalls_at(*[(False, True)] * 200) == PATIENCE.starting


def test_stopped_process_stalls_before_a_busy_one() -> None:
    assert stalls_at(STARTED, *[(False, False)] * 200) == 1 + PATIENCE.idle
    assert stalls_at(STARTED, *[(False, True)] * 200) == 1 + PATIENCE.silent


def test_process_of_unknown_cpu_time_counts_as_busy() -> None:
    assert stalls_at((True, None), *[(False, None)] * 200) == 1 + PATIENCE.silent


@given(st.lists(st.tuples(ANSWERS, USES), max_size=300))
def test_process_that_answers_or_works_in_time_is_never_stalled(checks: list[tuple[bool, bool]]) -> None:
    """A process answers every minute, and between two answers it uses CPU time every ten seconds."""
    paced = [
        (has_answered or number % 60 == 0, has_used or number % 10 == 0)
        for number, (has_answered, has_used) in enumerate(checks)
    ]
    assert stalls_at(STARTED, *paced) is None


@given(st.lists(st.tuples(ANSWERS, USES), max_size=100))
def test_process_without_answer_and_work_is_always_stalled(checks: list[tuple[bool, bool]]) -> None:
    assert stalls_at(*checks, *[(False, False)] * int(PATIENCE.starting)) is not None
