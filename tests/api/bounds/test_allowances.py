"""A holder gets no more than its own bound, all holders together no more than the total, and nothing is lost."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bounds.allowances import Allowance, AllowanceExceeded

Step = tuple[str, int, bool]
STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), max_size=40)


@given(STEPS)
def test_allowance_never_exceeds_a_bound(steps: list[Step]) -> None:
    allowance, held = Allowance(per_holder=7, total=12), Counter[str]()
    for holder, amount, is_return in steps:
        if is_return:
            returned = min(amount, held[holder])
            allowance.give_back(holder, returned)
            held[holder] -= returned
        elif held[holder] + amount <= 7 and held.total() + amount <= 12:
            allowance.take(holder, amount)
            held[holder] += amount
        else:
            with pytest.raises(AllowanceExceeded) as refusal:
                allowance.take(holder, amount)
            assert refusal.value.is_total == (held[holder] + amount <= 7)
        assert {name: allowance.held_by(name) for name in "abc"} == {name: held[name] for name in "abc"}
        assert allowance.held == held.total()


def test_many_threads_take_no_place_twice() -> None:
    allowance = Allowance(per_holder=1000, total=50)

    def try_to_take(number: int) -> bool:
        try:
            allowance.take(f"token {number % 4}")
        except AllowanceExceeded:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(try_to_take, range(2000)))
    assert sum(taken) == allowance.held == 50


def test_place_is_free_after_the_block_fails() -> None:
    allowance = Allowance(per_holder=1, total=1)
    with pytest.raises(ZeroDivisionError), allowance.hold("a"):
        _ = 1 / 0
    assert allowance.held == allowance.held_by("a") == 0
