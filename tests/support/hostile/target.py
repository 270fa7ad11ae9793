"""A real server to attack, with tokens for the attacker and for the others."""

import json
import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """The server. Its worker processes are its children."""
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

    def call(self, environment: Mapping[str, str], commands: Sequence[Sequence[str]]) -> list[str]:
        """Runs `offer-ledger` commands of the tree in one process, and returns their outputs."""
        output = subprocess.run(
            [self.program.with_name("python"), "-c", _RUN_COMMANDS, json.dumps(commands)],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        ).stdout
        return [part.strip() for part in output.split("\0")[:-1]]

    @property
    def program(self) -> Path:
        return self.folder / ".venv" / "bin" / "offer-ledger"


_RUN_COMMANDS = """
import contextlib, json, sys
from api.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    with contextlib.suppress(SystemExit):
        main()
    print(end="\\0")
"""


def register(call: Callable[[Sequence[Sequence[str]]], Sequence[str]]) -> dict[str, str]:
    """Registers the partners and creates the tokens. `call` runs `offer-ledger` commands and returns their outputs.

    Returns the secret of each token. No limit of a partner or token applies, so that only the bounds protect the others."""
    unlimited = [f"--{name}=0" for name in ("synchronize-per-day", "insert-per-hour", "rps", "daily-quota")]
    partners = [["partners", "set", partner, *unlimited] for partner in (ATTACKER, OTHER)]
    tokens = [
        ["tokens", "create", "--role", role, "--name", name, "--requests-per-minute", "0"]
        + (["--partner", name] if role == "partner" else [])
        for name, role in ROLES.items()
    ]
    return dict(zip(ROLES, call(partners + tokens)[len(partners) :], strict=True))


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
