"""offer-ledger import"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from api.batch_reply import ALL_FAILED, finished_reply
from api.cli.output import AsJson, fail, print_json, print_table, progress, say
from api.cli.who import cli_origin
from api.run_intake import Sender, accept
from api.run_work import FAILED, RunFailed, carry_out
from api.upload import Upload
from api.wiring import Service, open_service
from domain.refusals import RunNotYours
from domain.run import Run, RunState
from domain.run_ledger import Accepted
from domain.values import Channel, Watch

LINES_SHOWN = 20
BLOCK_BYTES = 1024 * 1024
POLL_SECONDS = 0.5


def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A batch, as it would be sent.", exists=True, dir_okay=False)
    ],
    partner: Annotated[str, typer.Option(help="Whose offers they are.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Carry out a batch from a file.

    As if its partner had sent it: the same file again changes nothing. A run that is interrupted is finished by the
    server, or by the same command given again."""
    with open_service() as service:
        with progress("Storing the request") as watch:
            accepted = _accept(service, file, partner, watch)
        with progress("Judging the offers") as watch:
            run, done_here = _carry_out(service, accepted.run, watch)
        if run.state is RunState.FAILED:
            fail(FAILED.detail)
        with service.ledger.recorder.reading() as tx:
            reply = finished_reply(tx, run)
    if as_json:
        print_json(reply)
    else:
        _print(run, reply["data"], done_here=done_here)
    if run.all_failed:
        fail(ALL_FAILED)


def _accept(service: Service, file: Path, partner: str, watch: Watch) -> Accepted:
    size, max_bytes = file.stat().st_size, service.settings.max_body_bytes
    if size > max_bytes:
        fail(f"FILE: is larger than {max_bytes} bytes (OFFER_LEDGER_MAX_BODY_BYTES).")
    with service.ledger.recorder.reading() as tx:
        service.ledger.require_partner(tx, partner)
    upload = Upload(service.runs, "identity", max_bytes)
    try:
        # From here on, what is stored counts: the file may change.
        for block in _blocks(file):
            upload.write(block)
            watch(upload.size, size)
        upload.end()
        sender = Sender(partner, Channel.CUSTOM, cli_origin())
        return accept(service.runs, upload.arrival, sender, service.settings.max_items)
    finally:
        if upload.is_stored:
            upload.discard()


def _carry_out(service: Service, run: Run, watch: Watch) -> tuple[Run, bool]:
    """The run as it ended, and whether it was carried out here. One that somebody else is at is waited for, and taken
    over if they are heard of no more."""
    while not run.is_finished:
        try:
            return carry_out(service.runs, service.runs.claim(run.run_id), watch), True
        except RunNotYours:
            time.sleep(POLL_SECONDS)
            run = service.runs.find(run.run_id) or run
        except RunFailed as failed:
            fail(FAILED.detail, f"The cause: {failed.report.strip().splitlines()[-1]}")
        except KeyboardInterrupt:
            service.runs.release()
            raise
    return run, False


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            yield block


def _print(run: Run, data: dict[str, Any], *, done_here: bool) -> None:
    said = "" if done_here else " (it had been accepted before; nothing was done now)"
    say(f"Run {run.run_id}, {run.operation}{said}")
    say(
        ", ".join(f"{count} {name}" for name, count in msgspec.structs.asdict(run.counts).items()) if run.counts else ""
    )
    for message in run.messages:
        say(message)
    told = _lines("updated", data["updatedOffers"]) + _lines("failed", data["failedOffers"])
    if told:
        print()
        print_table(("offer", "outcome", "message"), told[:LINES_SHOWN])
    if len(told) > LINES_SHOWN:
        say(f"... and {len(told) - LINES_SHOWN} more messages: --json prints them all")


def _lines(what: str, items: msgspec.Raw) -> list[tuple[str | None, str, str]]:
    return [(item["externalId"], what, message) for item in msgspec.json.decode(items) for message in item["messages"]]
