"""The coordinates of the console's charts."""

from datetime import UTC, datetime, timedelta

import pytest

from api.console.charts import BAR, CHART_MARGIN, GAP, HEIGHT, WIDTH, Axis, bars_chart, counts_chart, shares

START = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = [START + timedelta(days=day) for day in range(3)]


def test_axis_maps_its_first_and_last_time_to_its_ends() -> None:
    axis = Axis(DAYS[0], DAYS[2])
    assert [axis.x(day) for day in DAYS] == [0, WIDTH / 2, WIDTH]
    assert axis.x(DAYS[2] + timedelta(days=9)) == WIDTH, "a time after the end"


def test_axis_of_one_time_maps_it_to_the_start() -> None:
    assert Axis(START, START).x(START) == 0


def test_count_holds_until_it_changes() -> None:
    chart = counts_chart(DAYS, [{"active": 0}, {"active": 0}, {"active": 4}])
    low, high, middle = HEIGHT - CHART_MARGIN, CHART_MARGIN, WIDTH / 2
    points = [tuple(map(float, point.split(","))) for point in chart.lines[0].points.split()]
    assert chart.maximum == 4
    assert points == [(0, low), (0, low), (middle, low), (middle, low), (WIDTH, low), (WIDTH, high)]


def test_lines_without_counts_stay_at_the_bottom() -> None:
    chart = counts_chart(DAYS[:1], [{"active": 0}])
    assert (chart.maximum, chart.lines[0].points) == (0, f"0.0,{HEIGHT - CHART_MARGIN}.0 0.0,{HEIGHT - CHART_MARGIN}.0")


def test_bars_are_below_each_other_and_visible() -> None:
    chart = bars_chart(
        Axis(DAYS[0], DAYS[2]), [("open", DAYS[0], DAYS[1], "C-1"), ("expired", DAYS[1], DAYS[1], "C-2")]
    )
    first, second = chart.bars
    assert (first.x, first.width, second.y - first.y) == (0, WIDTH / 2, BAR + GAP)
    assert second.width > 0
    assert chart.height >= second.y + BAR


@pytest.mark.parametrize(
    "counts", [{"created": 1, "paused": 3}, {"created": 0, "paused": 7}, {"created": 5, "failed": 5}]
)
def test_shares_fill_the_bar_in_order(counts: dict[str, int]) -> None:
    bars = shares(counts)
    assert [bar.kind for bar in bars] == [kind for kind, count in counts.items() if count]
    assert sum(bar.width for bar in bars) == pytest.approx(WIDTH, abs=1)
    assert bars[0].width / WIDTH == pytest.approx(counts[bars[0].kind] / sum(counts.values()), abs=0.01)


def test_zero_counts_give_no_shares() -> None:
    assert shares({"created": 0}) == []
