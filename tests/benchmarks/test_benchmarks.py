"""Benchmarks take turns, compare pair by pair, and stand beside rivals that do the same work."""

import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from benchmarks.reporting.comparison import Compared, measure_in_turns
from benchmarks.reporting.report import Report, read, write
from benchmarks.servers.contenders import RIVALS


def test_both_take_turns_and_who_begins_changes() -> None:
    turns: list[str] = []

    def turn(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    found = measure_in_turns(partial(turn, "ours"), partial(turn, "theirs"), pairs=3)
    assert turns == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert found == ([1, 4, 5], [2, 3, 6])


def test_what_counts_is_the_median_of_the_ratios_not_the_ratio_of_the_medians() -> None:
    assert Compared("case", "s", "floor", ours=[1, 10, 9], theirs=[1, 2, 9]).ratio == 1


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        ((None, None), ""),
        ((2.5, None), "at most 2.5"),
        ((1.9, None), "at most 1.9: missed"),
        ((None, 2), "at least 2"),
        ((None, 3), "at least 3: missed"),
    ],
)
def test_a_goal_that_was_missed_is_told(goal: tuple[float | None, float | None], told: str) -> None:
    assert Compared("case", "s", "floor", ours=[2], theirs=[1], at_most=goal[0], at_least=goal[1]).goal == told


def test_what_was_found_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = Report("batch", "sqlite", {"synchronous": "FULL"}, datetime(2026, 11, 27, tzinfo=UTC), 2)
    report.note("Something to know.")
    report.add(Compared("created", "s", "floor", ours=[2.0], theirs=[1.0], at_most=2.5, size=100))
    write([report], tmp_path / "found" / "batch.json")
    assert read(tmp_path / "found" / "batch.json") == [report]


def test_rivals_come_to_what_the_service_comes_to(tmp_path: Path) -> None:
    found = tmp_path / "batch.json"
    arguments = ("batch", "--offers", "20", "--pairs", "2", "--json", str(found))
    subprocess.run([sys.executable, "-m", "benchmarks", *arguments], check=True, capture_output=True)
    (report,) = read(found)
    for rival in RIVALS.values():
        cases = [one.case for one in report.compared if one.baseline == rival]
        assert cases == ["created", "identical", "half changed", "replaced"]
