"""The environment of the demo: a temporary ledger, a real server, and callers over HTTP."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.message import Message
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import uvicorn

from api.access.credentials import DEFAULT_REQUESTS_PER_MINUTE, new_secret
from api.app import create_app
from api.cli.listeners import open_listeners, url_of
from api.cli.local_user import cli_origin
from api.console.rendering import SIGN_IN
from api.dependencies.authentication import digest_secret
from api.http.paths import BATCH_PATH
from api.server.connections.event_loop import EVENT_LOOP
from api.server.connections.protocol import BoundedHttpProtocol
from api.service import Service
from api.settings import Settings
from api.wiring import open_service, utc_now
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.store.database import SQLITE_PREFIX
from domain.values import Role

IPV4 = 4
START_TIMEOUT_SECONDS = 30.0
START_POLL_SECONDS = 0.01


class DemoNotPossible(Exception):
    """The machine lacks something that the demo needs."""


class Reply(NamedTuple):
    """A reply of the server, with its body decoded from JSON."""

    status: int
    headers: Message
    document: Any


class StageClock:
    """A clock that starts some days ago, and is ahead of that by the days that the story has skipped."""

    def __init__(self, days_ago: int) -> None:
        self._ahead = timedelta(days=-days_ago)

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def skip(self, days: int) -> None:
        self._ahead += timedelta(days=days)


class Stage:
    """The service and its callers; each caller is identified by the name of its token."""

    def __init__(self, service: Service, url: str, clock: StageClock) -> None:
        self.service = service
        self.clock = clock
        self._url = url
        self._address = urlsplit(url)
        self._secrets: dict[str, str] = {}

    def set_partner(self, name: str) -> None:
        """Registers a partner without limits, as `offer-ledger partners set` does."""
        self.service.ledger.handle(SetPartner(name, synchronize_per_day=0, insert_per_hour=0), cli_origin())

    def create_token(self, name: str, role: Role, partner: str | None) -> str:
        """Creates a token, as `offer-ledger tokens create` does, and returns its secret."""
        secret = self._secrets[name] = new_secret()
        command = CreateToken(name, role, partner, digest_secret(secret), DEFAULT_REQUESTS_PER_MINUTE, None)
        self.service.ledger.handle(command, cli_origin())
        return secret

    def sign_in_link(self, secret: str) -> str:
        """Returns a link to the console. The token follows the `#`: browsers do not send that part to the server."""
        return f"{self._url}{SIGN_IN}#token={secret}"

    def get(self, token: str, path: str) -> Reply:
        with self._open_request(token, "GET", path) as connection:
            return _reply(connection)

    def send(self, token: str, batch: dict[str, Any]) -> Reply:
        with self._open_request(token, "POST", BATCH_PATH, batch) as connection:
            return _reply(connection)

    def change(self, token: str, method: str, path: str, document: object) -> Reply:
        """Sends any request, with a document or without."""
        with self._open_request(token, method, path, document) as connection:
            return _reply(connection)

    @contextmanager
    def send_without_reading(self, token: str, batch: dict[str, Any]) -> Iterator[None]:
        """Sends a batch and never reads the reply."""
        with self._open_request(token, "POST", BATCH_PATH, batch):
            yield

    @contextmanager
    def _open_request(self, token: str, method: str, path: str, document: object = None) -> Iterator[HTTPConnection]:
        headers = {"Authorization": f"ApiToken {self._secrets[token]}"}
        if document is not None:
            headers["Content-Type"] = "application/json"
        connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=START_TIMEOUT_SECONDS)
        try:
            connection.request(method, path, None if document is None else json.dumps(document), headers)
        except OSError as error:
            raise DemoNotPossible(f"cannot connect to the server: {error}") from error
        else:
            yield connection
        finally:
            connection.close()


def _reply(connection: HTTPConnection) -> Reply:
    try:
        response = connection.getresponse()
        return Reply(response.status, response.headers, json.loads(response.read()))
    except (OSError, HTTPException, ValueError) as error:
        raise DemoNotPossible(f"cannot read the reply of the server: {error}") from error


@contextmanager
def open_stage(host: str, port: int, days_ago: int) -> Iterator[Stage]:
    """Opens a temporary ledger with a running server, and removes both at the end. Raises DemoNotPossible.

    `days_ago`: the first day of the story."""
    with _temporary_folder() as folder:
        # Default settings: the environment's settings belong to another ledger.
        settings = Settings.model_construct(database_url=f"{SQLITE_PREFIX}{folder}/ledger.db")
        clock = StageClock(days_ago)
        with open_service(settings, clock) as service, _serving(service, host, port) as url:
            yield Stage(service, url, clock)


def _host_for_callers(host: str) -> str:
    """Returns the host, or the address of this machine if the host stands for all addresses."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == IPV4 else "::1"


def _temporary_folder() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="offer-ledger-demo-")
    except OSError as error:
        raise DemoNotPossible(f"cannot create a folder for the temporary ledger: {error}") from error


@contextmanager
def _serving(service: Service, host: str, port: int) -> Iterator[str]:
    """Runs the server in a thread and gives its URL."""
    with open_listeners(host, port) as listeners:
        # The story sets the clock ahead, which is no fault.
        app = create_app(service, watch_clock=False)
        server = uvicorn.Server(
            uvicorn.Config(app, lifespan="on", log_level="warning", http=BoundedHttpProtocol, loop=EVENT_LOOP)
        )
        thread = Thread(target=server.run, kwargs={"sockets": listeners}, name="server", daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise DemoNotPossible("the server did not start")
                time.sleep(START_POLL_SECONDS)
            yield url_of(_host_for_callers(host), listeners)
        finally:
            server.should_exit = True
            thread.join()
