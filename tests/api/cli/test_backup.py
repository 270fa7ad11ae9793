"""offer-ledger backup: a copy of the whole ledger, while it is in use."""

import threading
from pathlib import Path

import pytest

from api.settings import Settings
from api.wiring import Service, open_service
from domain.values import Operation
from projections.verification import verify
from tests.api.cli.shell import Run, require_done, require_refusal
from tests.engine import only_sqlite
from tests.examples import item
from tests.harness import run_batch

pytestmark = only_sqlite


def test_a_copy_that_is_made_under_load_is_a_whole_ledger(run: Run, service: Service, tmp_path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}-{n}") for n in range(50)])

    run_batch(service.ledger, Operation.INSERT, [item(f"TP-{n}") for n in range(2_000)])
    writer = threading.Thread(target=write)
    writer.start()
    positions = [run("backup", "--out", tmp_path / f"copy-{n}.db", "--json").json["position"] for n in range(5)]
    done.set()
    writer.join()
    assert positions == sorted(positions)
    for number, position in enumerate(positions):
        with open_service(Settings(database_url=f"sqlite:///{tmp_path}/copy-{number}.db")) as copy:
            assert verify(copy.ledger) == []
            assert copy.ledger.recorder.max_notification_id() == position


@pytest.mark.usefixtures("service")
def test_where_the_copy_lies_and_how_it_is_checked_is_told(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "copy.db"
    first, last = require_done(run("backup", "--out", out)).splitlines()
    assert first == f"Copied the ledger as of position 1 to {out}."
    assert last.endswith("offer-ledger projections verify")
    require_refusal(run("backup", "--out", out), "--out", "is there already")
    require_refusal(run("backup", "--out", tmp_path / "none" / "copy.db"), "--out", "can't be written")
