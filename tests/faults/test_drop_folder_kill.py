"""Does every dropped file end in one place, with its own report, at whatever moment the watcher dies?

OFFER_LEDGER_TEST_SEED repeats a series of random moments.
"""

import os
import random
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

from api.channels.drop_folder import TAKEN_FOLDER
from tests.support.processes.drop_folders import (
    PATIENCE_SECONDS,
    drop,
    finish_next,
    is_empty,
    opened,
    require_each_finished_once,
)

KILLS = 20
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
LONGEST_SECONDS = 0.25
DROPS = 2
NAMES = 4
MOST_LINES = 5


def worker(directory: Path, touches: int = 0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.processes.drop_folder_worker", str(directory), str(touches)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2])


def finish_all(directory: Path) -> None:
    with opened(directory) as folder:
        while not is_empty(directory):
            finish_next(folder)


def test_every_file_is_finished_once_after_twenty_kills(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    moments = random.Random(SEED)
    dropped: list[bytes] = []
    killed = 0
    for _ in range(KILLS):
        for _ in range(DROPS):
            kind = moments.choice(["offers", "bad"])
            name = f"{kind}-{moments.randrange(NAMES)}-20261122.csv"
            # A file that still waits is replaced by a new one with its name; that is its partner's will.
            if not (tmp_path / name).exists():
                dropped.append(b"".join(b"%d\n" % len(dropped) for _ in range(moments.randint(1, MOST_LINES))))
                drop(tmp_path, name, dropped[-1])
        with worker(tmp_path) as process:
            try:
                process.wait(moments.uniform(0, LONGEST_SECONDS))
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
    finished = sum(1 for path in tmp_path.glob("[dr]*/*.csv"))
    print(f"{killed} killed, {finished} of {len(dropped)} files finished by then")
    assert killed
    finish_all(tmp_path)
    require_each_finished_once(tmp_path, dropped)


def test_a_file_is_finished_once_whatever_the_watcher_was_about_to_do_when_it_died(tmp_path: Path) -> None:
    fates = []
    for touches in count(1):
        directory = tmp_path / str(touches)
        directory.mkdir()
        drop(directory, "offers.csv", b"yesterday")
        finish_all(directory)
        drop(directory, "offers.csv", b"today")
        with worker(directory, touches) as process:
            ended = process.wait(PATIENCE_SECONDS)
        fates.append("taken" if (directory / TAKEN_FOLDER / "offers.csv").exists() else "not taken")
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        finish_all(directory)
        require_each_finished_once(directory, [b"yesterday", b"today"])
    assert fates.count("taken") > 1
    assert fates[0] == fates[-1] == "not taken"
