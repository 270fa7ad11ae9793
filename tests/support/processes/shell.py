"""Runs `offer-ledger` commands in their own processes, and checks their results."""

import json
import os
import re
import signal
import subprocess
import sys
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
from tests.support.processes.process_group import kill_group, start
from tests.support.waiting import PATIENCE_SECONDS, wait_until

SCRIPT = Path(sys.executable).with_name("offer-ledger")
DATABASE_URL, SCHEMA = "OFFER_LEDGER_DATABASE_URL", "OFFER_LEDGER_DATABASE_SCHEMA"


class CommandResult(NamedTuple):
    """The exit code and the output of a finished command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.exit_code == 0, self.stderr
        return json.loads(self.stdout)


Run = Callable[..., CommandResult]
"""Runs a command in this process, as a shell would: run("partners", "set", "tidepool")."""

WriteBatch = Callable[..., Path]
"""Writes a batch into a file: write_batch("Insert", ["TP-1", "TP-2"])."""


def require_success(ended: CommandResult) -> str:
    """Requires exit code 0 and no error output. Returns the standard output."""
    assert (ended.exit_code, ended.stderr) == (0, "")
    return ended.stdout


def require_refusal(ended: CommandResult, *named: str) -> None:
    """Requires exit code 1 and one line of error output with all these texts."""
    assert (ended.exit_code, ended.stdout) == (1, "")
    _require_sentence(ended.stderr, named)


def require_usage_error(ended: CommandResult, *named: str) -> None:
    """Requires exit code 2 and error output with all these texts, such as the wrong option."""
    assert (ended.exit_code, ended.stdout) == (2, "")
    _require_named(ended.stderr, named)


def require_usage_sentence(ended: CommandResult, *named: str) -> None:
    """Requires exit code 2 and one line of error output with all these texts."""
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
    """Returns the characters that a terminal would execute instead of showing."""
    return {character for character in text if not (character.isprintable() or character == "\n")}


def position(run: Run) -> int:
    """Returns the position of the ledger."""
    return int(run("inventory", "--json").json["position"])


def change_by_hand(settings: Settings, statement: str) -> None:
    """Executes a statement in the database without the ledger."""
    with by_hand(settings) as tx:
        tx.execute(statement)


@contextmanager
def by_hand(settings: Settings) -> Iterator[Cursor]:
    """Opens a transaction in the database without the ledger, while no other process writes."""
    with closing(open_database(settings.database_location)) as database, database.schema_change() as tx:
        yield tx


def database_exists(settings: Settings) -> bool:
    """Returns whether a command has created the database file or, on PostgreSQL, any table."""
    if not settings.is_shared:
        return settings.database.exists()
    with by_hand(settings) as tx:
        return bool(tx.dialect.table_names(tx))


def send(caller: Caller, operation: str, *external_ids: str) -> int:
    """Sends a batch over HTTP and returns the status of the reply."""
    reply = caller.send(body(batch(operation, [item(external_id) for external_id in external_ids])))
    return int(reply.status_code)


def record_merchant_offer(service: Service, merchant_id: str, external_id: str, *later: Any) -> UUID:
    """Records a merchant's offer directly. `later` are the events after its creation."""
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
    """The command to run. `folder` has its modules, if they are not those of this process."""

    command: tuple[str | Path, ...] = (SCRIPT,)
    folder: Path | None = None


INSTALLED = Program()


def run_script(
    settings: Settings, *arguments: str, env: Mapping[str, str] | None = None, program: Program = INSTALLED
) -> CommandResult:
    """Runs the installed command in its own process."""
    ended = subprocess.run(
        [*program.command, *arguments],
        cwd=program.folder,
        env=environment(settings, env),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return CommandResult(ended.returncode, ended.stdout, ended.stderr)


class RunningServer:
    """`offer-ledger serve` in its own process, on a free port; killed with its children when the block ends."""

    def __init__(self, settings: Settings, log: Path, *arguments: str, program: Program = INSTALLED) -> None:
        self._log = log
        self._callers: list[Caller] = []
        with log.open("wb") as stderr:
            self.process = start(
                [*program.command, "serve", "--port", "0", *arguments],
                cwd=program.folder,
                env=environment(settings),
                stderr=stderr,
            )

    def __enter__(self) -> Self:
        try:
            self.url = self._wait_for_url()
            # With several workers, the port is open before the first worker has started.
            assert self.call(None).get("/healthz").status_code == 200
        except BaseException:
            kill_group(self.process)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for caller in self._callers:
            caller.http.close()
        kill_group(self.process)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def call(self, secret: str | None) -> Caller:
        self._callers.append(Caller(self.url, secret))
        return self._callers[-1]

    def kill(self) -> None:
        """Sends SIGKILL to the server only, not to its children, and waits for its end."""
        self.process.kill()
        self.process.wait()

    def end(self, by: signal.Signals) -> int:
        """Sends a signal to stop the server, and returns its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_SECONDS)

    def _wait_for_url(self) -> str:
        def find_url() -> re.Match[str] | None:
            match = re.search(r"running on (http://[\d.]+:\d+)", self.log)
            assert match or self.process.poll() is None, self.log
            return match

        match = wait_until(find_url, describe=lambda: self.log)
        assert match
        return match[1]
