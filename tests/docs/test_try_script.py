"""`make run` beside another program: `examples/try.sh` starts and changes nothing."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support.generated_pages import ROOT
from tests.support.waiting import PATIENCE_SECONDS


def try_script(folder: Path, host: str, port: str) -> subprocess.CompletedProcess[str]:
    variables = {"HOST": host, "PORT": port, "BIN": str(Path(sys.executable).parent), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["/bin/sh", str(ROOT / "examples" / "try.sh")],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@contextmanager
def answering(host: str, **members: str) -> Iterator[str]:
    """Answers every GET with a JSON object. Gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(members).encode())

        def log_message(self, *_: object) -> None: ...

    class Server(HTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_address[1])
        server.shutdown()


@pytest.mark.parametrize("port", ["abc", "", "0", "65536", "8000x", "-1", "99999999999999999999"])
def test_invalid_port_is_a_usage_error(tmp_path: Path, port: str) -> None:
    ended = try_script(tmp_path, "127.0.0.1", port)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == ["PORT must be a number from 1 to 65535, for example: make run PORT=8001"]


def test_other_program_with_a_health_check_is_not_the_service(tmp_path: Path) -> None:
    with answering("127.0.0.1", status="ok") as port:
        ended = try_script(tmp_path, "127.0.0.1", port)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"Another program uses port {port}." in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_running_service_is_reported_with_its_url(tmp_path: Path, host: str, url: str) -> None:
    if ":" in host and not socket.has_ipv6:
        pytest.skip("needs IPv6")
    with answering(host, service="offer-ledger") as port:
        ended = try_script(tmp_path, host, port)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"Offer Ledger already runs at {url}{port}." in ended.stdout
    assert list(tmp_path.iterdir()) == []
