"""Reads the list of equivalent mutants: those that no test can detect, each with its reason."""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.mutation.mutants import MutantId, MutatedModule

FILE = Path(__file__).with_name("equivalents.toml")


def read_equivalents(file: Path = FILE) -> dict[MutantId, str]:
    """Returns the reason of each listed mutant. Raises ValueError if a reason is empty or an entry occurs twice."""
    reasons: dict[MutantId, str] = {}
    for entry in tomllib.loads(file.read_text())["equivalent"]:
        reason = entry.pop("reason").strip()
        mutant_id = MutantId(**entry)
        if not reason or mutant_id in reasons:
            raise ValueError(f"{mutant_id.module}: {mutant_id}: expected one entry with a reason")
        reasons[mutant_id] = reason
    return reasons


def stale_entries(listed: Mapping[MutantId, str], modules: Collection[MutatedModule]) -> list[MutantId]:
    """Returns the listed mutants of these modules that no longer exist."""
    paths = {module.path for module in modules}
    existing = {mutant.id for module in modules for mutant in module.mutants}
    return [mutant_id for mutant_id in listed if mutant_id.module in paths and mutant_id not in existing]
