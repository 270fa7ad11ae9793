"""Tests of the replay: a state rebuilt from the events equals the answers of the service, and differences are
reported."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.access.private_files import OutputExists
from api.export.replay import ReplayResult, compare_with_replay
from api.http.as_of import NOW, AsOf
from api.service import Service
from domain.access.partner import SetPartner
from domain.store.sqlite.driver import connect
from domain.values import no_progress, utc_text
from projections.maintenance.table_diff import Difference
from tests.support.engine import examples
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.single_requests import merchant_key
from tests.support.histories.traffic import (
    MERCHANTS,
    Step,
    activating,
    buying,
    empty_service,
    history,
    putting,
    reversing,
    steps,
)


def replayed(service: Service, as_of: AsOf = NOW) -> ReplayResult:
    with TemporaryDirectory() as folder:
        return compare_with_replay(service, as_of, Path(folder) / "replay.db", no_progress)


@settings(max_examples=examples(40))
@given(st.lists(steps, min_size=3, max_size=16), st.data())
def test_replay_equals_answers_at_any_position_and_time(taken_steps: list[Step], data: st.DataObject) -> None:
    with empty_service() as (service, clock):
        times = []
        for step in taken_steps:
            step(service, clock)
            times.append(clock.now)
        for position in data.draw(st.sets(st.integers(0, history(service)[-1].position), max_size=3)):
            assert replayed(service, AsOf(position=position)).differences == []
        time = data.draw(st.sampled_from(times))
        for as_of in (AsOf(time=time), NOW):
            result = replayed(service, as_of)
            assert result.differences == []
            assert set(result.rows) == {"offers", "redemption_windows"}


@pytest.fixture
def stocked(service: Service, clock: Clock) -> Service:
    """A service with two offers. One is activated, a purchase is redeemed and partly reversed, and the offer is
    deleted."""
    service.ledger.handle(SetPartner(PARTNER, daily_quota=0), OPERATOR)
    first, second = MERCHANTS[0], merchant_key("MO-9")
    for step in (
        putting(first, "one"),
        putting(second, "other"),
        activating(first, "C-1"),
        buying("T-1", first, "C-1"),
    ):
        step(service, clock)
        clock.move(hours=1)
    for step in (reversing("T-1", "5"), putting(first, None)):
        step(service, clock)
    return service


def test_replay_file_has_the_state_in_plain_tables(stocked: Service, clock: Clock, tmp_path: Path) -> None:
    compare_with_replay(stocked, NOW, tmp_path / "now.db", no_progress)
    with closing(connect(tmp_path / "now.db")) as database:
        offers = database.execute("SELECT external_id, status, deleted_at IS NULL FROM offers ORDER BY 1").fetchall()
        windows = database.execute("SELECT customer_id, state, redeemed FROM redemption_windows").fetchall()
        about: Any = database.execute("SELECT * FROM about").get
    assert offers == [("MO-1", "deleted", 0), ("MO-9", "active", 1)]
    assert windows == [("C-1", "winding_down", '[{"currency":"USD","amount":"7.50","redemptions":1}]')]
    with stocked.ledger.recorder.read() as tx:
        position, chain = tx.execute("SELECT position, chain FROM head").fetchone()
    assert (about[0], about[2][:16], about[3]) == (position, utc_text(clock.now)[:16], chain.hex())


@pytest.mark.parametrize(
    ("statement", "where", "kind"),
    [
        ("UPDATE inventory SET status = 'deleted' WHERE external_id = 'MO-9'", "offers", (True, True)),
        ("UPDATE status_counts SET offers = offers + 5", "counts of tidepool, merchant", (True, True)),
        ("DELETE FROM status_counts", "counts of all partners", (True, True)),
        ("UPDATE offer_periods SET status = 'paused' WHERE status = 'active'", "offers", (True, True)),
        ("UPDATE inventory SET external_id = 'MO-7' WHERE external_id = 'MO-9'", "offers", (True, True)),
        ("DELETE FROM inventory WHERE external_id = 'MO-9'", "offers", (False, True)),
        ("UPDATE redemption_windows SET customer_id = 'C-9'", "redemption_windows", (True, True)),
        ("DELETE FROM redemption_windows", "redemption_windows", (False, True)),
        ("UPDATE redemptions SET amount = '1' WHERE version = 1", "redemption_windows", (True, True)),
    ],
)
def test_replay_reports_wrong_rows_of_the_service(
    stocked: Service, statement: str, where: str, kind: tuple[bool, bool]
) -> None:
    with stocked.ledger.recorder.write() as tx:
        tx.execute(statement)
    differences = replayed(stocked).differences
    assert [
        difference for difference in differences if difference.where.startswith(where) and _kind(difference) == kind
    ]


def _kind(difference: Difference) -> tuple[bool, bool]:
    """Returns whether the service has the row, and whether the replay has it."""
    return difference.found is not None, difference.expected is not None


def test_difference_has_only_the_differing_columns(stocked: Service) -> None:
    with stocked.ledger.recorder.write() as tx:
        tx.execute("UPDATE inventory SET external_id = 'MO-7' WHERE external_id = 'MO-9'")
    differences: list[Any] = [(one.found, one.expected) for one in replayed(stocked).differences]
    # Twice: in the present state, and as of now.
    assert differences == [({"external_id": "MO-7"}, {"external_id": "MO-9"})] * 2


def test_replay_overwrites_nothing_and_leaves_no_partial_file(stocked: Service, tmp_path: Path) -> None:
    out = tmp_path / "now.db"
    out.write_text("mine")
    with pytest.raises(OutputExists):
        compare_with_replay(stocked, NOW, out, no_progress)
    assert out.read_text() == "mine"
    with pytest.raises(FileNotFoundError):
        compare_with_replay(stocked, NOW, tmp_path / "none" / "now.db", no_progress)
    with stocked.ledger.recorder.write() as tx:
        tx.execute("UPDATE events SET state = 'no JSON'")
    with pytest.raises(Exception, match="can't be read"):
        compare_with_replay(stocked, NOW, tmp_path / "later.db", no_progress)
    assert {path.name for path in tmp_path.iterdir()} - {"now.db"} <= {
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db-leases",
    }
