"""Benchmarks measure in turns, compare pair by pair, and their rivals do the same work."""

import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from benchmarks.reporting import markdown
from benchmarks.reporting.comparison import Compared, measure_in_turns
from benchmarks.reporting.markdown import ENGINES
from benchmarks.reporting.report import Report, read, write
from benchmarks.servers.contenders import BATCH_RIVALS
from benchmarks.servers.timed_stages import OTHERS, PROJECTION_STAGES, STAGES
from projections.projector import PROJECTIONS


def test_measurements_alternate_and_each_side_starts_in_turn() -> None:
    turns: list[str] = []

    def turn(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    times = measure_in_turns(partial(turn, "ours"), partial(turn, "theirs"), pairs=3)
    assert turns == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert times == ([1, 4, 5], [2, 3, 6])


def test_ratio_is_the_median_of_the_pair_ratios() -> None:
    assert Compared("case", "s", "floor", ours=[1, 10, 9], theirs=[1, 2, 9]).ratio == 1


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        ((None, None), ""),
        ((2.5, None), "at most 2.5"),
        ((1.9, None), "at most 1.9: missed"),
        ((None, 2), "at least 2"),
        ((None, 3), "at least 3: missed"),
    ],
)
def test_missed_goal_is_reported(goal: tuple[float | None, float | None], text: str) -> None:
    assert Compared("case", "s", "floor", ours=[2], theirs=[1], at_most=goal[0], at_least=goal[1]).goal == text


@pytest.mark.parametrize(("limit", "text"), [(2.0, "at most 2 s"), (1.9, "at most 1.9 s: missed")])
def test_limit_of_our_own_figure_is_a_goal(limit: float, text: str) -> None:
    compared = Compared("case", "s", "floor", ours=[1, 2, 3], theirs=[9, 9, 9], limit=limit)
    assert (compared.has_goal, compared.goal) == (True, text)


def test_summary_lists_the_missed_goals(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("batch", "sqlite", {}, datetime(2026, 11, 27, tzinfo=UTC), 2)
    report.add(Compared("created", "s", "floor", ours=[2.0], theirs=[1.0], at_most=2.5))
    report.add(Compared("replaced", "per s", "rival", ours=[1.0], theirs=[1.0], at_least=1.2))
    report.add(Compared("for information", "s", "floor", ours=[2.0], theirs=[1.0]))
    capsys.readouterr()
    report.summarise()
    assert capsys.readouterr().out.split("\n")[1:3] == [
        "1 of 2 goals on sqlite are met.",
        "  missed: replaced / rival: 1.00, at least 1.2",
    ]


def test_report_reads_what_it_wrote(tmp_path: Path) -> None:
    report = Report("batch", "sqlite", {"synchronous": "FULL"}, datetime(2026, 11, 27, tzinfo=UTC), 2)
    report.note("Something to know.")
    report.add(Compared("created", "s", "floor", ours=[2.0], theirs=[1.0], at_most=2.5, size=100))
    write([report], tmp_path / "reports" / "batch.json")
    assert read(tmp_path / "reports" / "batch.json") == [report]


@pytest.mark.parametrize(("owner", "name"), [place for places in STAGES.values() for place in places])
def test_measured_function_of_a_stage_exists(owner: object, name: str) -> None:
    assert callable(getattr(owner, name))


def test_stages_of_projections_are_stages() -> None:
    assert {OTHERS, *PROJECTION_STAGES.values()} <= STAGES.keys()
    assert PROJECTION_STAGES.keys() <= {projection.name for projection in PROJECTIONS}


def test_markdown_has_every_case_goal_and_stage(tmp_path: Path) -> None:
    reports = [Report("batch", engine, {"version": "1"}, datetime(2026, 12, 1, tzinfo=UTC), 2) for engine in ENGINES]
    for report, seconds in zip(reports, (2.0, 3.0), strict=True):
        report.add(Compared("created", "s", "floor", ours=[seconds] * 2, theirs=[1.0, 1.0], at_most=2.5, size=100))
    reports[0].add_stages({"created": {"split": 1.25, "all": 20.0}})
    write(reports, tmp_path / "batch.json")
    lines = [*markdown.lines([tmp_path / "batch.json"])]
    assert "- SQLite, 2026-12-01, 2 cores: version 1" in lines
    assert (
        "| created | 100 | floor | 2 / 1 s | 2.00 (2.00 to 2.00) | at most 2.5: met |"
        " 3 / 1 s | 3.00 (3.00 to 3.00) | at most 2.5: missed |"
    ) in lines
    assert "| split | 1.2 |" in lines


@pytest.mark.long
def test_rivals_return_the_counts_of_the_service(tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    arguments = ("batch", "--offers", "20", "--pairs", "2", "--json", str(file))
    subprocess.run([sys.executable, "-m", "benchmarks", *arguments], check=True, capture_output=True)
    (report,) = read(file)
    for rival in BATCH_RIVALS[report.engine].values():
        cases = [one.case for one in report.compared if one.baseline == rival]
        assert cases == ["created", "identical", "half changed", "replaced"]
