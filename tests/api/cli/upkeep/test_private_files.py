"""Files that commands create have mode 600, whatever the umask is."""

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest

from api.settings import Settings
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER
from tests.support.processes.shell import Run, WriteBatch


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that takes no permission away."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{S_IMODE(path.stat().st_mode):o}" for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.usefixtures("open_umask")
def test_exported_files_have_mode_600(partnered: Run, tmp_path: Path, write_batch: WriteBatch) -> None:
    assert partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER).exit_code == 0
    out = tmp_path / "out"
    out.mkdir()
    for arguments in (
        ("export", "inventory", "--out", out / "offers.jsonl"),
        ("export", "events", "--format", "csv", "--out", out / "events.csv"),
        ("export", "events", "--format", "parquet", "--out", out / "events"),
        ("replay", "--out", out / "replay.db"),
    ):
        assert partnered(*arguments).exit_code == 0
    assert len(modes(out)) == 5
    assert set(modes(out).values()) == {"600"}


@only_sqlite
@pytest.mark.usefixtures("open_umask")
def test_new_ledger_and_backup_have_mode_600(run_without_ledger: Run, settings: Settings, tmp_path: Path) -> None:
    assert run_without_ledger("init").exit_code == 0
    assert run_without_ledger("backup", "--out", tmp_path / "backup.db").exit_code == 0
    assert modes(tmp_path) == {settings.database.name: "600", "backup.db": "600"}


@only_sqlite
def test_command_restricts_an_older_ledger(run: Run, settings: Settings) -> None:
    settings.database.chmod(0o644)
    ended = run("inventory")
    assert f"{S_IMODE(settings.database.stat().st_mode):o}" == "600"
    assert ended.exit_code == 0
