"""The bytes of one unfinished body in memory."""

from api.bounds.allowances import Allowance


class BodyMemory:
    """Holds bytes of an allowance while the body of a request is unfinished. One thread at a time may use it."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._holder = ""
        self._held = 0
        self.is_on_disk = False
        """The body has moved to the disk, at least in part."""

    def add(self, holder: str, size: int) -> None:
        """Raises AllowanceExceeded. The first bytes of a body decide who holds all of them."""
        if not self._held:
            self._holder = holder
        self._allowance.take(self._holder, size)
        self._held += size

    def move_to_disk(self, size: int) -> None:
        """Gives back the bytes that are no longer in memory."""
        self.is_on_disk = True
        self._give_back(min(size, self._held))

    def end(self) -> None:
        """Gives back all bytes: the body is complete, or the request has ended."""
        self._give_back(self._held)

    def _give_back(self, size: int) -> None:
        if size:
            self._allowance.give_back(self._holder, size)
            self._held -= size
