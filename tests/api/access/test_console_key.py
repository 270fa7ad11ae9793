"""The signing key of console sessions: a private file beside the ledger, created once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_IMODE
from threading import Barrier

import pytest

from api.access.console_key import CONSOLE_KEY_SUFFIX, UnusableKey, load_console_key
from api.settings import Settings
from api.wiring import open_service
from tests.support.engine import only_sqlite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / f"ledger.db{CONSOLE_KEY_SUFFIX}"


def test_key_file_is_private_and_keeps_its_key(file: Path) -> None:
    before = os.umask(0)
    try:
        key = load_console_key(file)
    finally:
        os.umask(before)
    assert S_IMODE(file.stat().st_mode) == 0o600
    assert len(key) >= 32
    assert load_console_key(file) == key


def test_processes_that_start_together_agree_on_one_key(file: Path) -> None:
    barrier = Barrier(8)

    def load(_: int) -> bytes:
        barrier.wait()
        return load_console_key(file)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load, range(8)))) == 1
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_key_that_others_may_read_is_refused(file: Path) -> None:
    load_console_key(file)
    file.chmod(0o640)
    with pytest.raises(UnusableKey, match="Other users may read"):
        load_console_key(file)


@pytest.mark.parametrize("content", ["", "short\n"])
def test_key_file_without_a_key_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(UnusableKey, match="at least 32 characters"):
        load_console_key(file)


def test_key_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="OFFER_LEDGER_CONSOLE_KEY"):
        load_console_key(tmp_path / "missing" / "ledger.db-console-key")


@only_sqlite
def test_only_a_console_creates_the_key_file(settings: Settings) -> None:
    file = Path(f"{settings.database}{CONSOLE_KEY_SUFFIX}")
    with open_service(settings) as service:
        assert not file.exists()
        service.sessions.prepare()
        assert file.exists()


def test_key_of_the_settings_creates_no_file(settings: Settings) -> None:
    settings.console_key = Settings(console_key="k" * 32).console_key
    with open_service(settings) as service:
        service.sessions.prepare()
    assert not Path(f"{settings.database}{CONSOLE_KEY_SUFFIX}").exists()
