"""Processes the files of a drop folder slowly until it is empty, or until it kills itself.

It kills itself before the n-th time that it opens, renames or removes a file, because only these operations change the
folder.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.processes.drop_folders import LOOK_SECONDS, is_empty, open_quick_folder

SLOW_SECONDS = 0.01


class Fuse:
    """An audit hook that kills the process at the n-th file operation."""

    def __init__(self, touches: int) -> None:
        self._left = touches

    def __call__(self, event: str, _: tuple[Any, ...]) -> None:
        if event in {"open", "os.rename", "os.remove"}:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def main(directory: Path, touches: int) -> None:
    with open_quick_folder(directory) as folder:
        sys.addaudithook(Fuse(touches))
        while not is_empty(directory):
            file = folder.next()
            if file is None:
                time.sleep(LOOK_SECONDS)
                continue
            digest = hashlib.sha256()
            for line in file.read_bytes().splitlines(keepends=True):
                digest.update(line)
                time.sleep(SLOW_SECONDS)
            report = json.dumps({"sha256": digest.hexdigest()}).encode()
            folder.finish(file, report, done="bad" not in file.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
