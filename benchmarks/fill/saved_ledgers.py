"""Keeps filled ledgers in a directory, so that later runs reuse them."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from api.settings import Settings
from benchmarks.engines.engine import Engine

Past = TypeVar("Past", bound=msgspec.Struct)
"""The description of a filled ledger."""


def add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--directory",
        type=Path,
        help="Folder that keeps the filled ledgers for later runs. Default: a temporary folder.",
    )


def filled(engine: Engine, name: str, past: type[Past], fill: Callable[[Settings], Past]) -> tuple[Settings, Past]:
    """Returns a filled ledger and its description. The ledger is filled only if the directory does not have it."""
    ledger, description = engine.ledger(name), engine.folder / f"{name}.json"
    if description.exists():
        return ledger, msgspec.json.decode(description.read_bytes(), type=past)
    started = time.perf_counter()
    past_of_ledger = fill(ledger)
    engine.settle(ledger)
    seconds, size = time.perf_counter() - started, engine.megabytes(ledger)
    print(f"{name}: filled in {seconds:.0f} s, {size:.0f} MB", flush=True)
    description.write_bytes(msgspec.json.encode(past_of_ledger))
    return ledger, past_of_ledger
