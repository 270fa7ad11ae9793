"""offer-ledger demo --serve"""

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.harness import plain_client
from tests.support.processes.process_group import running
from tests.support.processes.shell import SCRIPT, Run
from tests.support.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_demo_server_runs_until_it_is_stopped(tmp_path: Path, stop_signal: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(SCRIPT), "demo", "--serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, env={"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        printed = ""
        while "Ctrl-C" not in printed:
            line = demo.stdout.readline()
            assert line, printed
            printed += line
        base, secret = re.findall(r"Auditor: .*\n +(http://\S+)/console/sign-in#token=(\S+)", printed)[0]
        assert base == f"http://127.0.0.1:{port}"
        with plain_client(base, follow_redirects=True) as browser:
            page = browser.post("/console/sign-in", data={"token": secret}).text
        demo.send_signal(stop_signal)
        assert demo.wait(PATIENCE_SECONDS) == 0
    assert "Offer 7 of day 28" in page
    (active,) = re.findall(r'line-active" points="([^"]{60,})"', page)
    assert len({point.split(",")[1] for point in active.split()}) > 5, "the chart shows many counts"
    assert list(tmp_path.iterdir()) == []


def test_demo_server_cannot_be_combined_with_json(run: Run) -> None:
    ended = run("demo", "--serve", "--json")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("--serve: ")
