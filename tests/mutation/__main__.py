"""Changes modules in small ways, one at a time, and reports the changes that no test detects.

python -m tests.mutation [MODULE ...]"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutation.equivalents import read_equivalents, stale_entries
from tests.mutation.mutants import MutantId, MutatedModule, read_module
from tests.mutation.report import MutationResult
from tests.mutation.targets import TARGETS
from tests.mutation.trial import Job, Trial, run_mutants


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="paths in targets.py; all of them by default")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="how many mutants run together")
    parser.add_argument("--only", default="", help="runs only the mutants whose function or change contains this text")
    parser.add_argument("--json", type=Path, help="writes each mutant with its first failed test to this file")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.modules) - TARGETS.keys():
        parser.error(f"expected modules in targets.py, found: {', '.join(sorted(unknown))}")
    modules = [read_module(path) for path in chosen.modules or TARGETS]
    listed = read_equivalents()
    if stale := stale_entries(listed, modules):
        print("Entries of equivalents.toml without a mutant:", *stale, sep="\n  ")
        return 1
    results = []
    for module in modules:
        started = time.monotonic()
        results.append(_run(module, listed, chosen.only, chosen.at_once))
        print(f"{results[-1].summary()} ({time.monotonic() - started:.0f} s)", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps([_row(trial) for result in results for trial in result.trials], indent=1))
    total = MutationResult("all modules", [trial for result in results for trial in result.trials], listed)
    print(total.summary().splitlines()[0])
    return 0 if all(result.is_sufficient for result in results) else 1


def _run(module: MutatedModule, listed: Mapping[MutantId, str], only: str, at_once: int) -> MutationResult:
    tests = TARGETS[module.path]
    jobs = [Job(module, mutant, tests) for mutant in module.mutants if only in str(mutant.id)]
    return MutationResult(module.path, run_mutants(jobs, tests, at_once) if jobs else [], listed)


def _row(trial: Trial) -> dict[str, object]:
    assert trial.job.mutant
    return {
        **trial.job.mutant.id._asdict(),
        "line": trial.job.mutant.line,
        "killer": trial.killer,
        "cpu_seconds": round(trial.cpu_seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
