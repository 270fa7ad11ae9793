"""A bound that makes the service useless is refused at the start."""

import pytest
from pydantic import ValidationError

from api.bounds.settings import BoundSettings


def test_bound_below_the_memory_of_a_new_process_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_idle_process_bytes"):
        BoundSettings(max_idle_process_bytes=64 * 1024 * 1024)
