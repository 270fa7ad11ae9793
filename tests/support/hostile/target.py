"""A real server to attack, with tokens for the attacker and for the others."""

import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.processes.process_group import kill_group, start
from tests.support.waiting import PATIENCE_SECONDS, wait_until

ATTACKER, OTHER = "attacker", "bystander"
"""The partners. The name of a partner is the name of its token, too."""
ROLES = {ATTACKER: "partner", OTHER: "partner", "auditor": "auditor", "operator": "operator"}


class Target(NamedTuple):
    """A running server, and a token's secret for each caller."""

    url: str
    pid: int
    """The server. Its worker processes and batch processes are its children."""
    log: Path
    attacker: str
    other: str
    auditor: str
    operator: str
    size: float = 1.0
    """The part of the whole attack to make. The script makes the whole attack; tests make a small one on lowered bounds."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


class Tree(NamedTuple):
    """A copy of the project with its environment. The same attacks run on several trees."""

    folder: Path

    def call(self, environment: Mapping[str, str], *arguments: str) -> str:
        """Runs an `offer-ledger` command of the tree and returns its output."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            check=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        ).stdout.strip()

    @property
    def program(self) -> Path:
        return self.folder / ".venv" / "bin" / "offer-ledger"


def register(call: Callable[..., str]) -> dict[str, str]:
    """Registers the partners and creates the tokens. `call` runs an `offer-ledger` command and returns its output.

    Returns the secret of each token. No limit of a partner or token applies, so that only the bounds protect the others."""
    for partner in (ATTACKER, OTHER):
        unlimited = ("synchronize-per-day", "insert-per-hour", "rps", "daily-quota")
        call("partners", "set", partner, *(f"--{name}=0" for name in unlimited))
    secrets = {}
    for name, role in ROLES.items():
        of_partner = ("--partner", name) if role == "partner" else ()
        options = ("--role", role, "--name", name, "--requests-per-minute", "0", *of_partner)
        secrets[name] = call("tokens", "create", *options)
    return secrets


@contextmanager
def serve_target(
    program: Path,
    log: Path,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    *arguments: str,
    open_files: int | None = None,
    size: float = 1.0,
) -> Iterator[Target]:
    """Starts `offer-ledger serve` with these arguments, and kills it with its children at the end.

    `open_files`: the most descriptors that each of its processes may open."""

    def limit_open_files() -> None:
        if open_files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    with log.open("wb") as output:
        process = start(
            [program, "serve", "--port", "0", *arguments],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            preexec_fn=limit_open_files,
        )
    try:

        def find_url() -> re.Match[str] | None:
            assert process.poll() is None, log.read_text()
            # With several workers, the port is open before the first worker has started.
            return re.search(r"running on (http://[\d.]+:\d+).*startup complete", log.read_text(), re.DOTALL) or (
                re.search(r"startup complete.*running on (http://[\d.]+:\d+)", log.read_text(), re.DOTALL)
            )

        url = wait_until(find_url, describe=log.read_text)
        assert url
        attacker, other, auditor, operator = (secrets[name] for name in ROLES)
        yield Target(url[1], process.pid, log, attacker, other, auditor, operator, size)
    finally:
        kill_group(process)
