"""What benchmarks have found is drawn: ratios where there is a goal, growth where there are several sizes."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.reporting import plot
from benchmarks.reporting.comparison import Compared
from benchmarks.reporting.report import Report, write


def drawn(tmp_path: Path, *compared: Compared) -> set[str]:
    engines = ("sqlite", "postgresql")
    found = [
        Report("batch", engine, {}, datetime(2026, 11, 27, tzinfo=UTC), 2, compared=[*compared]) for engine in engines
    ]
    write(found, tmp_path / "batch.json")
    plot.draw(argparse.Namespace(files=[tmp_path / "batch.json"], to=tmp_path / "drawn"))
    drawings = list((tmp_path / "drawn").iterdir())
    assert all(drawing.read_text().endswith("</svg>\n") for drawing in drawings)
    return {drawing.name for drawing in drawings}


def created(size: int, at_most: float | None = None) -> Compared:
    return Compared("created", "s", "floor", [size * 2e-5] * 2, [size * 1e-5] * 2, at_most=at_most, size=size)


def test_what_has_a_goal_and_several_sizes_is_drawn_both_ways(tmp_path: Path) -> None:
    assert drawn(tmp_path, created(100), created(1_000, 2.5)) == {"batch-ratios.svg", "batch-growth.svg"}


def test_what_has_one_size_does_not_grow(tmp_path: Path) -> None:
    assert drawn(tmp_path, created(100, 2.5)) == {"batch-ratios.svg"}


def test_what_has_no_goal_is_not_drawn_beside_one(tmp_path: Path) -> None:
    assert drawn(tmp_path, created(100), created(1_000)) == {"batch-growth.svg"}


def test_a_goal_of_what_is_done_per_second_is_drawn_too(tmp_path: Path) -> None:
    rates = Compared("created", "per s", "rival", [900.0, 950.0], [100.0, 90.0], at_least=8, size=100)
    assert drawn(tmp_path, rates) == {"batch-ratios.svg"}
