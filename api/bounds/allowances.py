"""Amounts that callers hold at the same time: places, or bytes. Each holder has a bound, and all together have one."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class AllowanceExceeded(Exception):
    """The amount would exceed a bound. `is_total`: the bound of all holders together, not the holder's own."""

    def __init__(self, *, is_total: bool) -> None:
        super().__init__("the bound of all holders" if is_total else "the bound of one holder")
        self.is_total = is_total


class Allowance:
    """Checks a bound and takes the amount in one step. Any thread may call it."""

    def __init__(self, per_holder: int, total: int) -> None:
        self.per_holder, self.total = per_holder, total
        self._lock = Lock()
        self._held: Counter[str] = Counter()
        self._sum = 0

    def take(self, holder: str, amount: int = 1) -> None:
        """Raises AllowanceExceeded, and then takes nothing. The holder's own bound is checked first."""
        with self._lock:
            if self._held[holder] + amount > self.per_holder:
                raise AllowanceExceeded(is_total=False)
            if self._sum + amount > self.total:
                raise AllowanceExceeded(is_total=True)
            self._held[holder] += amount
            self._sum += amount

    def give_back(self, holder: str, amount: int = 1) -> None:
        with self._lock:
            self._held[holder] -= amount
            self._sum -= amount
            if not self._held[holder]:
                # Otherwise the table would keep a row for each holder that ever existed.
                del self._held[holder]

    @contextmanager
    def hold(self, holder: str, amount: int = 1) -> Iterator[None]:
        """Holds the amount while the block runs. Raises AllowanceExceeded."""
        self.take(holder, amount)
        try:
            yield
        finally:
            self.give_back(holder, amount)

    def held_by(self, holder: str) -> int:
        return self._held.get(holder, 0)

    @property
    def held(self) -> int:
        """The amount that all holders hold."""
        return self._sum
