"""Ledgers that take long to fill: they stay in their directory, to be asked again."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from api.settings import Settings
from benchmarks.engines.engine import Engine

Past = TypeVar("Past", bound=msgspec.Struct)
"""What a ledger was filled with."""


def add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--directory", type=Path, help="where the ledgers lie, and stay to be used again")


def filled(engine: Engine, name: str, past: type[Past], fill: Callable[[Settings], Past]) -> tuple[Settings, Past]:
    """A ledger that is filled, if that has not been done before."""
    ledger, told = engine.ledger(name), engine.folder / f"{name}.json"
    if told.exists():
        return ledger, msgspec.json.decode(told.read_bytes(), type=past)
    started = time.perf_counter()
    done = fill(ledger)
    engine.settle(ledger)
    seconds, size = time.perf_counter() - started, engine.megabytes(ledger)
    print(f"{name}: filled in {seconds:.0f} s, {size:.0f} MB", flush=True)
    told.write_bytes(msgspec.json.encode(done))
    return ledger, done
