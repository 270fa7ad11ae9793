"""The report of a benchmark: a table on the terminal, printed line by line, and a JSON file with all figures."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.engines.engine import Engine
from benchmarks.reporting.comparison import Compared


class Report(msgspec.Struct):
    """One benchmark on one database."""

    benchmark: str
    engine: str
    settings: dict[str, str]
    """The settings of the database that affect the figures."""
    date: datetime
    cores: int
    notes: list[str] = msgspec.field(default_factory=list)
    compared: list[Compared] = msgspec.field(default_factory=list)
    stages: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    """CPU microseconds for each offer, by case and stage."""

    def head(self) -> None:
        """Prints the header of the table; `add` prints its lines."""
        service, baseline = f"{'service':>12}       ", f"{'baseline':24}{'':>8}       "
        print(f"{'case':36}{'size':>10}{service}{baseline}{'ratio':>8}   {'range of ratios':18}goal")

    def note(self, text: str) -> None:
        """Prints and stores a remark on the figures."""
        self.notes.append(text)
        print(text, flush=True)

    def add(self, compared: Compared) -> None:
        self.compared.append(compared)
        ratios, unit = compared.ratios, compared.unit
        size = "" if compared.size is None else f"{compared.size:,}"
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(
            f"{compared.case:36}{size:>10}{short(median(compared.ours)):>12} {unit:6}{compared.baseline:24}"
            f"{short(median(compared.theirs)):>8} {unit:6}{compared.ratio:8.2f}   {spread:18}{compared.goal}",
            flush=True,
        )

    def add_stages(self, stages: dict[str, dict[str, float]]) -> None:
        """Prints and stores the CPU microseconds for each offer, by case and stage."""
        self.stages = stages
        print(f"\n{'CPU microseconds per offer':36}{''.join(f'{case:>16}' for case in stages)}")
        for stage in dict.fromkeys(chain.from_iterable(stages.values())):
            print(f"{stage:36}{''.join(f'{times.get(stage, 0):16.1f}' for times in stages.values())}", flush=True)

    def summarise(self) -> None:
        """Prints how many goals are met, and the missed ones."""
        goals = [compared for compared in self.compared if compared.has_goal]
        missed = [compared for compared in goals if not compared.is_reached]
        if goals:
            print(f"\n{len(goals) - len(missed)} of {len(goals)} goals on {self.engine} are met.")
        for compared in missed:
            figure = f"{short(median(compared.ours))} {compared.unit}" if compared.limit else f"{compared.ratio:.2f}"
            print(f"  missed: {compared.case} / {compared.baseline}: {figure}, {compared.goal.partition(':')[0]}")


def begin(benchmark: str, engine: Engine) -> Report:
    """Prints the name of the benchmark and the settings of the database, and returns a new report."""
    cores = os.cpu_count() or 1
    report = Report(benchmark, engine.name, engine.settings(), datetime.now(UTC), cores)
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    print(f"{benchmark} on {engine.name}; {cores} cores\n{settings}\n", flush=True)
    return report


def write(reports: Sequence[Report], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(reports), indent=1) + b"\n")


def read(file: Path) -> list[Report]:
    return msgspec.json.decode(file.read_bytes(), type=list[Report])


def short(number: float) -> str:
    """Returns three significant digits, or all digits before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
