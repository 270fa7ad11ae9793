"""Every dropped file ends in one folder with its own report, even if the watching process is killed at any time.

OFFER_LEDGER_TEST_SEED repeats a series of random times.
"""

import os
import random
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

from api.channels.drop_folder import TAKEN_FOLDER
from tests.support.processes.drop_folders import (
    drop,
    finish_next,
    is_empty,
    open_quick_folder,
    require_each_finished_once,
)
from tests.support.processes.process_group import running
from tests.support.waiting import PATIENCE_SECONDS

KILLS = 20
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
MAX_LIFETIME_SECONDS = 0.25
DROPS = 2
NAMES = 4
MAX_LINES = 5


def worker(directory: Path, touches: int = 0) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.support.processes.drop_folder_worker", str(directory), str(touches)]
    return running(command, cwd=Path(__file__).parents[2])


def finish_all(directory: Path) -> None:
    with open_quick_folder(directory) as folder:
        while not is_empty(directory):
            finish_next(folder)


def test_files_are_finished_once_after_random_kills(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    dropped: list[bytes] = []
    killed = 0
    for _ in range(KILLS):
        for _ in range(DROPS):
            kind = chance.choice(["offers", "bad"])
            name = f"{kind}-{chance.randrange(NAMES)}-20261122.csv"
            # A new file would replace a waiting one with its name.
            if not (tmp_path / name).exists():
                dropped.append(b"".join(b"%d\n" % len(dropped) for _ in range(chance.randint(1, MAX_LINES))))
                drop(tmp_path, name, dropped[-1])
        with worker(tmp_path) as process:
            try:
                process.wait(chance.uniform(0, MAX_LIFETIME_SECONDS))
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
    finished = sum(1 for path in tmp_path.glob("[dr]*/*.csv"))
    print(f"{killed} killed, {finished} of {len(dropped)} files finished before the last start")
    assert killed
    finish_all(tmp_path)
    require_each_finished_once(tmp_path, dropped)


def test_file_is_finished_once_whichever_file_operation_is_interrupted(tmp_path: Path) -> None:
    outcomes = []
    for touches in count(1):
        directory = tmp_path / str(touches)
        directory.mkdir()
        drop(directory, "offers.csv", b"yesterday")
        finish_all(directory)
        drop(directory, "offers.csv", b"today")
        with worker(directory, touches) as process:
            exit_code = process.wait(PATIENCE_SECONDS)
        outcomes.append("taken" if (directory / TAKEN_FOLDER / "offers.csv").exists() else "not taken")
        if exit_code == 0:
            break
        assert exit_code == -signal.SIGKILL
        finish_all(directory)
        require_each_finished_once(directory, [b"yesterday", b"today"])
    assert outcomes.count("taken") > 1
    assert outcomes[0] == outcomes[-1] == "not taken"
