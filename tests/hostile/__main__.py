"""Attacks several copies of the project in one run, and prints what the others got meanwhile.

For example, after `git worktree add` and `make dev` for the older copy: python -m tests.hostile ../older . --engine sqlite
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.hostile.attacks.registry import ATTACKS
from tests.support.hostile.attack import Attack, AttackReport, run_attack
from tests.support.hostile.memory import own_mebibytes
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target, Tree, register, serve_target
from tests.support.postgres import server as postgres_server
from tests.support.processes.shell import DATABASE_URL, SCHEMA

HEAD = (
    "attack",
    "tree",
    "longest wait of the others, s",
    "their failures",
    "sent, MiB",
    "memory before, MiB",
    "peak",
    "a minute later",
)
MIB = 1024 * 1024


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder, _databases(options.engine, Path(folder)) as databases:
        resting: list[threading.Thread] = []
        rows: dict[tuple[str, Path], list[str]] = {}
        for name in options.attack or ATTACKS:
            for place in options.trees:
                servers = ExitStack()
                target, report = _attack(ATTACKS[name], Tree(place.absolute()), next(databases), options, servers)
                rows[name, place] = cells = _cells(name, place, report)
                print(_row(cells), file=sys.stderr, flush=True)
                resting.append(_look_later(cells, target, servers, options.rest))
        for thread in resting:
            thread.join()
        print("\n".join(map(_row, (HEAD, ["---"] * len(HEAD), *rows.values()))))


def _attack(
    attack: Attack, tree: Tree, database: Mapping[str, str], options: argparse.Namespace, servers: ExitStack
) -> tuple[Target, AttackReport]:
    """Attacks a new server, which runs until `servers` is closed."""
    # The older tree does not know the settings of newer bounds, so both run with the defaults.
    secrets = register(partial(tree.call, database))
    workers = ("--workers", "2") if options.engine == "postgresql" else ()
    log = Path(servers.enter_context(tempfile.TemporaryDirectory())) / "log"
    server = serve_target(tree.program, log, database, secrets, *workers, open_files=attack.open_files)
    target = servers.enter_context(server)
    attack.prepare(target)
    with watch_others(target) as others:
        return target, run_attack(attack, target, others, options.seconds)


def _look_later(cells: list[str], target: Target, servers: ExitStack, seconds: float) -> threading.Thread:
    """Looks at the memory of the idle server after some time, while the next attacks run, and ends the server."""

    def look() -> None:
        with servers:
            time.sleep(seconds)
            cells.append(f"{own_mebibytes(target.pid):.0f}")

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def _cells(name: str, place: Path, report: AttackReport) -> list[str]:
    """Returns all cells but the last."""
    return [
        name,
        place.resolve().name,
        f"{max(report.longest_waits.values()):.2f}",
        ", ".join(report.failures) or "none",
        f"{report.sent_bytes / MIB:.1f}",
        f"{report.rest_mebibytes:.0f}",
        f"{report.peak_mebibytes:.0f}",
    ]


@contextmanager
def _databases(engine: str, folder: Path) -> Iterator[Iterator[Mapping[str, str]]]:
    """Yields the settings of an empty database for each attack: a file, or a schema of a server that ends with the block."""
    if engine == "sqlite":
        yield ({DATABASE_URL: f"sqlite:///{folder}/{uuid4().hex}.db"} for _ in iter(int, 1))
        return
    server = postgres_server.start(folder / "postgresql")
    try:
        yield ({DATABASE_URL: server.get_uri(), SCHEMA: f"attack_{uuid4().hex}"} for _ in iter(int, 1))
    finally:
        server.cleanup()


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("trees", nargs="+", type=Path, help="Folders with a copy of the project and its .venv.")
    parser.add_argument("--attack", action="append", choices=sorted(ATTACKS), help="An attack. Default: all.")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite", help="Default: sqlite.")
    parser.add_argument("--seconds", type=float, default=10, help="Duration of each attack. Default: 10.")
    parser.add_argument(
        "--rest", type=float, default=60, help="Seconds until the last look at the memory. Default: 60."
    )
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "80")
    main()
