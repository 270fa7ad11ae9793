"""Attacks several copies of the project in one run, and prints what the others got meanwhile.

For example, after `git worktree add` and `make dev` for the older copy: python -m tests.hostile ../older . --engine sqlite
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.hostile.attacks.registry import ATTACKS
from tests.support.hostile.attack import Attack, AttackReport, run_attack
from tests.support.hostile.memory import own_mebibytes
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Tree, register, serve_target
from tests.support.postgres import server as postgres_server
from tests.support.processes.shell import DATABASE_URL, SCHEMA

HEAD = (
    "attack",
    "tree",
    "longest wait of the others, s",
    "their failures",
    "memory before, MiB",
    "peak",
    "a minute later",
    "sent, MiB",
)
MIB = 1024 * 1024


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder, _databases(options.engine, Path(folder)) as databases:
        print("\n".join((_row(HEAD), _row(["---"] * len(HEAD)))), flush=True)
        for name in options.attack or ATTACKS:
            for tree in map(Tree, options.trees):
                print(_row(_attack(ATTACKS[name], tree, next(databases), options)), flush=True)


def _attack(attack: Attack, tree: Tree, database: Mapping[str, str], options: argparse.Namespace) -> Sequence[str]:
    # The older tree does not know the settings of newer bounds, so both run with the defaults.
    secrets = register(lambda *arguments: tree.call(database, *arguments))
    workers = ("--workers", "2") if options.engine == "postgresql" else ()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_target(
            tree.program, Path(folder) / "log", database, secrets, *workers, open_files=attack.open_files
        ) as target,
    ):
        attack.prepare(target)
        with watch_others(target) as others:
            report = run_attack(attack, target, others, options.seconds)
            time.sleep(options.rest)
        return _cells(attack, tree, report, own_mebibytes(target.pid))


def _cells(attack: Attack, tree: Tree, report: AttackReport, rest: float) -> list[str]:
    return [
        attack.name,
        tree.folder.resolve().name,
        f"{max(report.longest_waits.values()):.2f}",
        ", ".join(report.failures) or "none",
        f"{report.rest_mebibytes:.0f}",
        f"{report.peak_mebibytes:.0f}",
        f"{rest:.0f}",
        f"{report.sent_bytes / MIB:.1f}",
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
