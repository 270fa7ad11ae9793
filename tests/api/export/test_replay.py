"""A state that is replayed from the events alone is what the service answers of it; and it is told where it is not."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.export.files import OutputExists
from api.export.replay import ReplayResult, compare_with_replay
from api.http.as_of import NOW, AsOf
from api.service import Service
from domain.access.partner import SetPartner
from domain.values import no_progress, utc_text
from projections.maintenance.table_diff import Difference
from tests.support.engine import examples
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.single_requests import merchant_key
from tests.support.histories.traffic import (
    MERCHANTS,
    Step,
    a_service,
    activating,
    buying,
    history,
    putting,
    steps,
    taking_back,
)


def replayed(service: Service, asked: AsOf = NOW) -> ReplayResult:
    with TemporaryDirectory() as folder:
        return compare_with_replay(service, asked, Path(folder) / "then.db", no_progress)


@settings(max_examples=examples(40))
@given(st.lists(steps, min_size=3, max_size=16), st.data())
def test_a_replay_equals_what_the_service_answers_at_any_position_and_time(
    done: list[Step], data: st.DataObject
) -> None:
    with a_service() as (service, clock):
        moments = []
        for step in done:
            step(service, clock)
            moments.append(clock.now)
        for position in data.draw(st.sets(st.integers(0, history(service)[-1].position), max_size=3)):
            assert replayed(service, AsOf(position=position)).differences == []
        moment = data.draw(st.sampled_from(moments))
        for asked in (AsOf(time=moment), NOW):
            found = replayed(service, asked)
            assert found.differences == []
            assert set(found.rows) == {"offers", "redemption_windows"}


@pytest.fixture
def stocked(service: Service, clock: Clock) -> Service:
    """Two offers; one of them is activated, a purchase is redeemed and partly taken back, and the offer is deleted."""
    service.ledger.handle(SetPartner(PARTNER, daily_quota=0), OPERATOR)
    one, other = MERCHANTS[0], merchant_key("MO-9")
    for step in (putting(one, "one"), putting(other, "other"), activating(one, "C-1"), buying("T-1", one, "C-1")):
        step(service, clock)
        clock.move(hours=1)
    for step in (taking_back("T-1", "5"), putting(one, None)):
        step(service, clock)
    return service


def test_the_file_tells_the_state_to_anyone(stocked: Service, clock: Clock, tmp_path: Path) -> None:
    compare_with_replay(stocked, NOW, tmp_path / "now.db", no_progress)
    with closing(sqlite3.connect(tmp_path / "now.db")) as database:
        offers = database.execute("SELECT external_id, status, deleted_at IS NULL FROM offers ORDER BY 1").fetchall()
        windows = database.execute("SELECT customer_id, state, redeemed FROM redemption_windows").fetchall()
        (about,) = database.execute("SELECT * FROM about").fetchall()
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
def test_what_the_service_answers_otherwise_is_told(
    stocked: Service, statement: str, where: str, kind: tuple[bool, bool]
) -> None:
    with stocked.ledger.recorder.write() as tx:
        tx.execute(statement)
    found = replayed(stocked).differences
    assert [told for told in found if told.where.startswith(where) and _kind(told) == kind]


def _kind(told: Difference) -> tuple[bool, bool]:
    return told.found is not None, told.expected is not None


def test_only_what_differs_is_told_of_a_row(stocked: Service) -> None:
    with stocked.ledger.recorder.write() as tx:
        tx.execute("UPDATE inventory SET external_id = 'MO-7' WHERE external_id = 'MO-9'")
    told: list[Any] = [(one.found, one.expected) for one in replayed(stocked).differences]
    # As it is now, and as of now.
    assert told == [({"external_id": "MO-7"}, {"external_id": "MO-9"})] * 2


def test_nothing_is_overwritten_and_nothing_is_left_of_what_fails(stocked: Service, tmp_path: Path) -> None:
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
