"""Plots of benchmark results: ratios for cases with a goal, growth for cases with several sizes."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.reporting import plot
from benchmarks.reporting.comparison import Compared
from benchmarks.reporting.report import Report, write


def draw(tmp_path: Path, *compared: Compared) -> set[str]:
    engines = ("sqlite", "postgresql")
    reports = [
        Report("batch", engine, {}, datetime(2026, 11, 27, tzinfo=UTC), 2, compared=[*compared]) for engine in engines
    ]
    write(reports, tmp_path / "batch.json")
    plot.draw(argparse.Namespace(files=[tmp_path / "batch.json"], to=tmp_path / "drawn"))
    drawings = list((tmp_path / "drawn").iterdir())
    assert all(drawing.read_text().endswith("</svg>\n") for drawing in drawings)
    return {drawing.name for drawing in drawings}


def created(size: int, at_most: float | None = None) -> Compared:
    return Compared("created", "s", "floor", [size * 2e-5] * 2, [size * 1e-5] * 2, at_most=at_most, size=size)


def test_case_with_goal_and_sizes_has_both_plots(tmp_path: Path) -> None:
    assert draw(tmp_path, created(100), created(1_000, 2.5)) == {"batch-ratios.svg", "batch-growth.svg"}


def test_case_with_one_size_has_no_growth_plot(tmp_path: Path) -> None:
    assert draw(tmp_path, created(100, 2.5)) == {"batch-ratios.svg"}


def test_case_without_goal_has_no_ratio_plot(tmp_path: Path) -> None:
    assert draw(tmp_path, created(100), created(1_000)) == {"batch-growth.svg"}


def test_goal_of_a_rate_has_a_ratio_plot(tmp_path: Path) -> None:
    rates = Compared("created", "per s", "rival", [900.0, 950.0], [100.0, 90.0], at_least=8, size=100)
    assert draw(tmp_path, rates) == {"batch-ratios.svg"}
