"""`offer-ledger restore`: a verified copy of a backup replaces a ledger that is not in use."""

import gzip
import shutil
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest

from api.settings import Settings
from api.wiring import open_service
from domain.store.commit import ledger_name
from domain.store.sqlite.driver import connect
from projections.maintenance.verification import verify
from tests.support.engine import only_postgres, only_sqlite
from tests.support.examples import PARTNER
from tests.support.processes.shell import (
    Run,
    RunningServer,
    WriteBatch,
    position,
    require_refusal,
    require_success,
    require_usage_sentence,
    run_script,
)

GOLDEN = Path(__file__).parents[3] / "domain" / "store" / "golden"


def name_of(settings: Settings) -> str:
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        return ledger_name(tx)


@pytest.fixture
def backup(partnered: Run, tmp_path: Path, write_batch: WriteBatch) -> Path:
    """A backup of a ledger to which an offer and a partner were added afterwards."""
    out = tmp_path / "backup" / "before.db"
    out.parent.mkdir()
    require_success(partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER))
    require_success(partnered("backup", "--out", out))
    require_success(partnered("import", write_batch("Insert", ["TP-2"]), "--partner", PARTNER))
    require_success(partnered("partners", "set", "harbor"))
    return out


@only_sqlite
def test_restore_replaces_the_ledger_by_the_backup(run: Run, settings: Settings, backup: Path) -> None:
    before, content = name_of(settings), backup.read_bytes()
    restored = run("restore", backup, "--json").json
    assert restored["position"] == restored["resumeAfter"] == position(run) == 2
    assert "harbor" not in require_success(run("partners", "list"))
    assert restored["ledger"] == name_of(settings) != before
    assert S_IMODE(settings.database.stat().st_mode) == 0o600
    assert (backup.read_bytes(), [path.name for path in backup.parent.iterdir()]) == (content, [backup.name])
    with open_service(settings) as service:
        assert verify(service.ledger) == []


@only_sqlite
def test_each_restore_gives_a_new_name(run: Run, backup: Path) -> None:
    first, second = (run("restore", backup, "--json").json["ledger"] for _ in range(2))
    assert len(first) == len(second) == 32
    assert first != second


@only_sqlite
def test_restore_says_where_followers_resume(run: Run, settings: Settings, backup: Path) -> None:
    place, name, followers = require_success(run("restore", backup)).splitlines()
    assert place == f"Restored the ledger in the file {settings.database} as of position 2."
    assert name_of(settings) in name
    assert followers.startswith("Followers resume after position 2")


@only_sqlite
def test_cursor_from_before_a_restore_is_refused(run: Run, backup: Path) -> None:
    first = ("inventory", "--limit", "1", "--json")
    cursor = run(*first).json["nextCursor"]
    assert run(*first, "--cursor", cursor).json["items"]
    require_success(run("restore", backup))
    require_usage_sentence(run(*first, "--cursor", cursor), "--cursor", "before a restore")


@only_sqlite
def test_restore_removes_files_beside_the_replaced_ledger(run: Run, settings: Settings, backup: Path) -> None:
    beside = [Path(f"{settings.database}{suffix}") for suffix in ("-wal", "-shm", "-leases", "-leases-wal")]
    for path in beside:
        path.write_bytes(b"of the replaced ledger" * 1000)
    require_success(run("restore", backup))
    assert [path.name for path in beside if path.exists()] == []
    assert position(run) == 2


@only_sqlite
def test_restore_refuses_a_ledger_in_use(settings: Settings, backup: Path, tmp_path: Path) -> None:
    with RunningServer(settings, tmp_path / "serve.log") as server:
        before = server.call(None).get("/readyz").json()["position"]
        require_refusal(run_script(settings, "restore", str(backup)), str(settings.database), "is in use")
        assert server.call(None).get("/readyz").json()["position"] == before
    require_success(run_script(settings, "restore", str(backup)))


@only_sqlite
def test_restore_creates_a_missing_ledger(run_without_ledger: Run, backup: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/new.db"
    require_success(run_without_ledger("restore", backup, "--database", database))
    assert "tidepool" in require_success(run_without_ledger("partners", "list", "--database", database))


@only_sqlite
def test_damaged_ledger_can_be_replaced(run: Run, settings: Settings, backup: Path) -> None:
    with settings.database.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 16_000)
    assert run("inventory").exit_code == 1
    require_success(run("restore", backup))
    assert position(run) == 2


@only_sqlite
def test_backup_of_an_older_schema_is_migrated(run: Run, settings: Settings, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    old.write_bytes(gzip.decompress((GOLDEN / "version-4.db.gz").read_bytes()))
    require_success(run("restore", old))
    with open_service(settings) as service:
        assert verify(service.ledger) == []


@only_sqlite
def test_inconsistent_backup_leaves_the_ledger(run: Run, settings: Settings, backup: Path) -> None:
    with closing(connect(backup)) as database, database:
        database.execute("UPDATE events SET topic = 'OfferPaused' WHERE commit_id = 2")
    before = position(run)
    ended = run("restore", backup)
    assert ended.exit_code == 1
    assert f"{backup}: is inconsistent. The ledger was not replaced." in ended.stderr
    assert position(run) == before
    assert not list(settings.database.parent.glob(".*"))


@only_sqlite
def test_restore_refuses_what_is_no_backup(run: Run, settings: Settings, backup: Path, tmp_path: Path) -> None:
    text, empty, foreign = (tmp_path / name for name in ("text", "empty", "foreign"))
    text.write_text("This is a letter, not a database.\n" * 100)
    empty.touch()
    with closing(connect(foreign)) as database:
        database.execute("CREATE TABLE letters (text TEXT)")
    before = position(run)
    require_refusal(run("restore", tmp_path / "none"), "there is no such file")
    require_refusal(run("restore", text), str(text), "not a database")
    require_refusal(run("restore", empty), str(empty), "is not a backup")
    require_refusal(run("restore", foreign), str(foreign), "is not a backup")
    require_refusal(run("restore", settings.database), "is the ledger itself")
    assert position(run) == before


@only_sqlite
def test_restore_leaves_a_foreign_file_in_the_ledgers_place(run: Run, backup: Path, tmp_path: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("This is a letter, not a database.\n" * 100)
    content = text.read_bytes()
    require_refusal(run("restore", backup, "--database", f"sqlite:///{text}"), str(text), "Move it away")
    assert text.read_bytes() == content


@only_sqlite
def test_backup_in_use_can_be_restored(run: Run, settings: Settings, backup: Path, tmp_path: Path) -> None:
    used = tmp_path / "used.db"
    shutil.copy(backup, used)
    with open_service(Settings(database_url=f"sqlite:///{used}")):
        require_success(run("restore", used))
    assert position(run) == 2


@only_postgres
def test_restore_on_postgresql_names_pg_restore(run: Run, tmp_path: Path) -> None:
    require_refusal(run("restore", tmp_path / "ledger.dump"), "pg_restore")
