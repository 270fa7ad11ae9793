"""Nothing that a server process writes contains ids of customers, wherever a request carries them."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from api.dependencies.roles import ROLES_BY_CALL
from api.service import Service
from api.settings import Settings
from domain.values import Role
from tests.support.calls.publishers import activate, redeem
from tests.support.harness import Caller, Clock, MakeToken
from tests.support.processes.process_group import kill_group, start
from tests.support.processes.shell import SCRIPT, change_by_hand, environment
from tests.support.waiting import PATIENCE_SECONDS, wait_until

PRIVATE = "C-4711-private"
NAMES = (
    "customerId", "transactionId", "cardLastFour", "partnerStoreId", "cursor", "at", "asOf", "asOfPosition", "from", "to", "q",
    "partner", "offerUid", "externalId", "merchantId", "status", "state", "limit", "date", "type", "runId", "traceId", "actor",
    "afterPosition", "transactedAt",
)  # fmt: skip
HEADERS = (
    "Accept", "Content-Type", "Cookie", "If-Match", "If-None-Match", "Last-Event-ID",
    "Ledger-Position", "Origin", "Prefer", "Referer", "Traceparent", "User-Agent", "X-Forwarded-For", "X-Request-Id",
)  # fmt: skip
INVALID_HTTP = (
    f"{PRIVATE} / HTTP/1.1\r\nHost: x\r\n\r\n",
    f"GET /{PRIVATE} HTTP/9.9\r\nHost: x\r\n\r\n",
    f"GET /{PRIVATE}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: x\r\n{PRIVATE}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {PRIVATE}\r\n\r\n",
    f"POST /api/v1/redemptions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{PRIVATE}\r\n",
    f"GET http://{PRIVATE}/healthz HTTP/1.1\r\nHost: {PRIVATE}\r\n\r\n",
)


@contextmanager
def server_with_output(settings: Settings, output: Path) -> Iterator[str]:
    """Starts a server that writes all its output to a file, and stops it. Returns its URL."""
    with output.open("wb") as file:
        process = start(
            [SCRIPT, "serve", "--port", "0"], env=environment(settings), stdout=file, stderr=subprocess.STDOUT
        )
    try:
        match = wait_until(lambda: re.search(r"running on (http://[\d.]+:\d+)", output.read_text()))
        assert match
        yield match[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        kill_group(process)


def send_raw(url: str, text: str) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def ask(caller: Caller, method: str, path: str, **more: Any) -> None:
    """Sends a request, and does not wait for the end of the reply: a stream of events has none."""
    with caller.http.stream(method, path, **more):
        pass


def send_everywhere(callers: dict[Role, Caller]) -> None:
    """Sends the id in each path parameter, query parameter, header and body of each call, with a role that may call it."""
    query = dict.fromkeys(NAMES, PRIVATE)
    headers = dict.fromkeys(HEADERS, PRIVATE)
    for call, roles in ROLES_BY_CALL.items():
        method, path = call.split(" ")
        caller = next((callers[role] for role in roles if role in callers), callers[Role.OPERATOR])
        place = re.sub(r"{\w+}", PRIVATE, path)
        ask(caller, method, place, params=query)
        ask(caller, method, f"{place}/{PRIVATE}", params={PRIVATE: PRIVATE})
        ask(caller, method, place, headers=headers, params={"customerId": PRIVATE})
        if method != "GET":
            for content in (f'{{"customerId": "{PRIVATE}"', f'{{"customerId": "{PRIVATE}", "{PRIVATE}": 1}}'):
                ask(caller, method, place, content=content, headers={"Content-Type": "application/json"})


def test_output_of_a_server_has_no_id_of_a_customer(
    settings: Settings, service: Service, clock: Clock, token: MakeToken, offer: str, tmp_path: Path
) -> None:
    output = tmp_path / "output.log"
    roles = (Role.OPERATOR, Role.PUBLISHER, Role.PARTNER)
    secrets = {role: token(role, name=f"{role} of the test") for role in roles}
    with server_with_output(settings, output) as url:
        callers = {role: Caller(url, secret) for role, secret in secrets.items()}
        operator, publisher = callers[Role.OPERATOR], callers[Role.PUBLISHER]
        assert activate(publisher, offer, customer=PRIVATE).status_code == 201
        send_everywhere(callers)
        for text in INVALID_HTTP:
            send_raw(url, text)
        change_by_hand(settings, "DROP TABLE redemption_windows")
        paths = ["/api/v1/redemption-windows", "/api/v1/redemption-verdict"]
        broken = [operator.get(path, customerId=PRIVATE).status_code for path in paths]
        assert 503 in broken
        assert redeem(publisher, offer, clock.now, customerId=PRIVATE, transactionId=PRIVATE).status_code == 503
        for caller in callers.values():
            caller.http.close()
    written = output.read_text()
    assert written.count("status=4") > 80
    assert "Traceback" in written
    assert [line for line in written.splitlines() if PRIVATE in line] == []
