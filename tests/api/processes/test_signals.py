"""Signals to a server that has not started yet."""

import subprocess
import sys
from pathlib import Path

HANG_UP_DURING_IMPORTS = """
import os, signal, sys
from api.cli.main import main

class HangUp:
    def find_spec(self, name, path=None, target=None):
        if name == "api.cli.actions.serve":
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, HangUp())
sys.argv = ["offer-ledger", "serve", "--workers", "2", "--database", sys.argv[1]]
main()
"""


def test_server_that_still_imports_ignores_a_hangup(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANG_UP_DURING_IMPORTS, f"sqlite:///{tmp_path}/ledger.db"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "ignored SIGHUP" in ended.stderr) == (2, True)  # it refuses two processes on SQLite
