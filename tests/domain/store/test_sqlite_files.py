"""Files of a ledger on SQLite: their modes while processes use the ledger."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest

from api.settings import Settings
from api.wiring import open_service
from domain.store.sqlite.files import LEASES_SUFFIX, WAL_SUFFIXES
from tests.support.engine import only_sqlite

pytestmark = only_sqlite


@pytest.fixture(params=[0o000, 0o022, 0o027])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(settings: Settings) -> dict[str, str]:
    files = settings.database.parent.glob(f"{settings.database.name}*")
    return {path.name.removeprefix(settings.database.name): f"{S_IMODE(path.stat().st_mode):o}" for path in files}


def use(settings: Settings) -> dict[str, str]:
    """Writes to the ledger and to its leases. Returns the modes of the files in use."""
    with open_service(settings) as service, service.ledger.recorder.heartbeats._database.heartbeat_write():
        return modes(settings)


EXPECTED = {"", LEASES_SUFFIX, *WAL_SUFFIXES, *(LEASES_SUFFIX + suffix for suffix in WAL_SUFFIXES)}


@pytest.mark.usefixtures("umask")
def test_all_files_of_a_new_ledger_have_mode_600(settings: Settings) -> None:
    assert use(settings) == dict.fromkeys(EXPECTED, "600")


def test_opening_restricts_files_of_an_older_program(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    use(settings)
    for path in settings.database.parent.glob(f"{settings.database.name}*"):
        path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert set(use(settings).values()) == {"600"}
    assert f"changed the mode of {settings.database} from 644 to 600" in caplog.text


def test_ledger_behind_a_link_is_created_with_mode_600(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").symlink_to(tmp_path / "elsewhere.db")
    before = os.umask(0)
    try:
        with open_service(Settings(database_url=f"sqlite:///{tmp_path}/ledger.db")):
            assert S_IMODE((tmp_path / "elsewhere.db").stat().st_mode) == 0o600
    finally:
        os.umask(before)
