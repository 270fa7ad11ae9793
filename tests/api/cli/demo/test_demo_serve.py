"""offer-ledger demo --serve"""

import re
import signal
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.support.processes.shell import PATIENCE_SECONDS, SCRIPT, Run


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_day_is_kept_to_be_looked_at_until_it_is_ended(tmp_path: Path, how: signal.Signals) -> None:
    command = [str(SCRIPT), "demo", "--serve"]
    with subprocess.Popen(command, env={"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        told = ""
        while "Ctrl-C" not in told:
            line = demo.stdout.readline()
            assert line, told
            told += line
        base, secret = re.findall(r"(http://\S+)/console/sign-in#token=(\S+)", told)[0]
        with httpx2.Client(base_url=base, follow_redirects=True) as browser:
            page = browser.post("/console/sign-in", data={"token": secret}).text
        demo.send_signal(how)
        assert demo.wait(PATIENCE_SECONDS) == 0
    assert "Save for 1,200 points" in page
    assert list(tmp_path.iterdir()) == []


def test_it_does_not_end_and_so_gives_no_json(run: Run) -> None:
    ended = run("demo", "--serve", "--json")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("--serve: ")
