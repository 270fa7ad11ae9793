"""Counts the results of the trials, and prints them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.mutation.mutants import MutantId
from tests.mutation.trial import Trial

REQUIRED_PERCENT = 95
"""The part of the mutants without the equivalent ones that the tests of a module must detect."""


@dataclass(frozen=True)
class MutationResult:
    """The results of mutants of one module, or of all modules."""

    name: str
    trials: Sequence[Trial]
    equivalents: Collection[MutantId]

    @property
    def survivors(self) -> list[Trial]:
        """The mutants that no test detected, without the listed ones."""
        return [trial for trial in self.trials if trial.killer is None and _id(trial) not in self.equivalents]

    @property
    def detected_equivalents(self) -> list[Trial]:
        """The listed mutants that a test detected. They are not equivalent."""
        return [trial for trial in self.trials if trial.killer is not None and _id(trial) in self.equivalents]

    @property
    def percent(self) -> float:
        """The detected part of the mutants that are not listed."""
        others = sum(_id(trial) not in self.equivalents for trial in self.trials)
        return 100 * (others - len(self.survivors)) / others if others else 100

    @property
    def is_sufficient(self) -> bool:
        return self.percent >= REQUIRED_PERCENT and not self.detected_equivalents

    def summary(self) -> str:
        """Returns the counts and the remaining mutants, as lines."""
        listed = len({_id(trial) for trial in self.trials} & set(self.equivalents))
        counts = f"{len(self.trials)} mutants, {listed} equivalent, {len(self.survivors)} survived"
        lines = [f"{self.name}: {counts}; {self.percent:.1f} % of the rest detected"]
        lines += [f"  survived: line {_line(trial)}: {_id(trial)}" for trial in self.survivors]
        lines += [
            f"  listed as equivalent, but detected: {_id(trial)} ({trial.killer})"
            for trial in self.detected_equivalents
        ]
        return "\n".join(lines)


def _id(trial: Trial) -> MutantId | None:
    return trial.job.mutant.id if trial.job.mutant else None


def _line(trial: Trial) -> int:
    return trial.job.mutant.line if trial.job.mutant else 0
