"""Processes the files of a drop folder, slowly, until there are none; kills itself at a moment that it is given.

Before the n-th file that it opens, renames or removes, to be exact: nothing else changes what lies there."""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.processes.drop_folders import LOOK_SECONDS, is_empty, opened

SLOW_SECONDS = 0.01


class Fuse:
    """Burns down by every touch of a file."""

    def __init__(self, touches: int) -> None:
        self._left = touches

    def __call__(self, event: str, _: tuple[Any, ...]) -> None:
        if event in {"open", "os.rename", "os.remove"}:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def main(directory: Path, touches: int) -> None:
    with opened(directory) as folder:
        sys.addaudithook(Fuse(touches))
        while not is_empty(directory):
            taken = folder.next()
            if taken is None:
                time.sleep(LOOK_SECONDS)
                continue
            digest = hashlib.sha256()
            for line in taken.read_bytes().splitlines(keepends=True):
                digest.update(line)
                time.sleep(SLOW_SECONDS)
            report = json.dumps({"sha256": digest.hexdigest()}).encode()
            folder.finish(taken, report, done="bad" not in taken.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
