"""Starts a PostgreSQL server of a version that Debian packages, for tests on the oldest supported version.

`python -m tests.support.postgres.debian_server 15 COMMAND …` runs a command, usually pytest, with its tests on such a server."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = 0
SERVER_USER = "postgres"
"""PostgreSQL does not run as root. Debian's package creates this user."""
OPTIONS = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=300"


def programs_of(major_version: int) -> Path:
    """Returns the folder of the server's programs. It does not exist if the package is not installed."""
    return Path(f"/usr/lib/postgresql/{major_version}/bin")


@contextmanager
def debian_server(major_version: int) -> Iterator[str]:
    """Yields the URL of an empty server, which listens on a Unix socket only. Ends it, and removes its data."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    user = SERVER_USER if os.geteuid() == ROOT else None
    if user:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        command = [str(programs_of(major_version) / program), "--pgdata", str(data), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    try:
        run("initdb", "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
        run(
            "pg_ctl",
            "start",
            "--wait",
            "--log",
            f"{folder}/log",
            "--options",
            f"{OPTIONS} -c unix_socket_directories={folder}",
        )
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--mode", "immediate")
    finally:
        shutil.rmtree(folder)


def main(major_version: str, *command: str) -> int:
    with debian_server(int(major_version)) as url:
        variables = {
            "OFFER_LEDGER_TEST_ENGINE": "postgresql",
            "OFFER_LEDGER_TEST_POSTGRES_URL": url,
            "OFFER_LEDGER_TEST_POSTGRES_PROGRAMS": str(programs_of(int(major_version))),
        }
        return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
