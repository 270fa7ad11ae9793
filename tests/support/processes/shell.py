"""What a command leaves behind, and the installed command in processes of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import UUID

from api.service import Service
from api.settings import Settings
from domain.store.cursor import Cursor
from domain.store.factory import open_database
from domain.values import Channel, OfferKey
from tests.support.examples import PARTNER, batch, body, created, item
from tests.support.harness import Caller, record

SCRIPT = Path(sys.executable).with_name("offer-ledger")
PATIENCE_SECONDS = 30.0
DATABASE_URL, SCHEMA = "OFFER_LEDGER_DATABASE_URL", "OFFER_LEDGER_DATABASE_SCHEMA"


class Ended(NamedTuple):
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.exit_code == 0, self.stderr
        return json.loads(self.stdout)


Run = Callable[..., Ended]
"""Carries a command out in this process, as a shell would: run("partners", "set", "tidepool")."""

WriteBatch = Callable[..., Path]
"""Writes a batch into a file: write_batch("Insert", ["TP-1", "TP-2"])."""


def require_done(ended: Ended) -> str:
    """Done, and nothing to complain about; answers what it printed."""
    assert (ended.exit_code, ended.stderr) == (0, "")
    return ended.stdout


def require_refusal(ended: Ended, *named: str) -> None:
    """Refused in one sentence that names what it is about."""
    assert (ended.exit_code, ended.stdout) == (1, "")
    _require_sentence(ended.stderr, named)


def require_usage_error(ended: Ended, *named: str) -> None:
    """Not understood, and told which option or argument is wrong."""
    assert (ended.exit_code, ended.stdout) == (2, "")
    _require_named(ended.stderr, named)


def require_usage_sentence(ended: Ended, *named: str) -> None:
    """As above, in one sentence."""
    assert (ended.exit_code, ended.stdout) == (2, "")
    _require_sentence(ended.stderr, named)


def _require_sentence(stderr: str, named: Iterable[str]) -> None:
    assert len(stderr.splitlines()) == 1
    _require_named(stderr, named)


def _require_named(stderr: str, named: Iterable[str]) -> None:
    assert "Traceback" not in stderr
    for name in named:
        assert name in stderr


def control_characters(text: str) -> set[str]:
    """What would not be shown but obeyed by a terminal."""
    return {character for character in text if not (character.isprintable() or character == "\n")}


def position(run: Run) -> int:
    """How many events the ledger has."""
    return int(run("inventory", "--json").json["position"])


def change_by_hand(settings: Settings, statement: str) -> None:
    """Behind the ledger's back, as only somebody with the database can."""
    with by_hand(settings) as tx:
        tx.execute(statement)


@contextmanager
def by_hand(settings: Settings) -> Iterator[Cursor]:
    """A transaction of somebody's with the database; nobody else writes meanwhile."""
    with closing(open_database(settings.database_location)) as database, database.schema_change() as tx:
        yield tx


def is_opened(settings: Settings) -> bool:
    """Has a command made its tables, or so much as a file?"""
    if not settings.is_shared:
        return settings.database.exists()
    with by_hand(settings) as tx:
        return bool(tx.dialect.table_names(tx))


def send(caller: Caller, operation: str, *external_ids: str) -> int:
    """Sends a batch over HTTP and answers the status of the reply."""
    reply = caller.send(body(batch(operation, [item(external_id) for external_id in external_ids])))
    return int(reply.status_code)


def record_merchant_offer(service: Service, merchant_id: str, external_id: str, *later: Any) -> UUID:
    """Offers of merchants have no door of their own yet; `later` are the events that follow their creation."""
    key = OfferKey(PARTNER, Channel.MERCHANT, merchant_id, external_id)
    return record(service.ledger, key, created(key=key), *later)


# Processes


def environment(settings: Settings, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        **os.environ,
        DATABASE_URL: settings.database_url,
        SCHEMA: settings.database_schema,
        "COLUMNS": "80",
        **(more or {}),
    }


class Program(NamedTuple):
    """The program, and where its modules lie, if that is not where this process has them from."""

    command: tuple[str | Path, ...] = (SCRIPT,)
    folder: Path | None = None


INSTALLED = Program()


def run_script(
    settings: Settings, *arguments: str, env: Mapping[str, str] | None = None, program: Program = INSTALLED
) -> Ended:
    """The installed command, in a process of its own."""
    ended = subprocess.run(
        [*program.command, *arguments],
        cwd=program.folder,
        env=environment(settings, env),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


class RunningServer:
    """`offer-ledger serve` in a process of its own, on a port that the system picks; killed at the end."""

    def __init__(self, settings: Settings, log: Path, *arguments: str, program: Program = INSTALLED) -> None:
        self._log = log
        self._callers: list[Caller] = []
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*program.command, "serve", "--port", "0", *arguments],
                cwd=program.folder,
                env=environment(settings),
                stderr=stderr,
            )

    def __enter__(self) -> Self:
        try:
            self.url = self._wait_for_url()
            # With several workers it listens before the first of them is there.
            caller = self.call(None)
            caller.http.timeout = PATIENCE_SECONDS
            assert caller.get("/healthz").status_code == 200
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for caller in self._callers:
            caller.http.close()
        self.kill()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def call(self, secret: str | None) -> Caller:
        self._callers.append(Caller(self.url, secret))
        return self._callers[-1]

    def kill(self) -> None:
        """SIGKILL: the process can't do anything about it."""
        self.process.kill()
        self.process.wait()

    def end(self, by: signal.Signals) -> int:
        """Asks it to end and answers its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_SECONDS)

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if told := re.search(r"running on (http://[\d.]+:\d+)", self.log):
                return told[1]
            assert self.process.poll() is None, self.log
            time.sleep(0.02)
        raise AssertionError(self.log)
