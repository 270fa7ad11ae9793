"""Prints the steps of the demo in short lines: the caller, the request and the reply."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any

import msgspec
from msgspec import Struct, field

from api.cli.messages import print_line

WIDTH = 100
TEXT_MARGIN = "   "
CALLER_WIDTH = 10
ANSWER = "-> "
SHORT_ID = 8
REPLY_LISTS = {
    "created": "createdOffers",
    "updated": "updatedOffers",
    "unchanged": "notChangedOffers",
    "paused": "pausedOffers",
    "failed": "failedOffers",
}
"""The members of a reply that list the offers of each outcome."""


class Call(Struct, frozen=True):
    """One request and its reply. Commands and lost replies have no status."""

    caller: str
    request: str
    body: Any = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    answer: Any = None


class StoryStep(Struct, frozen=True):
    number: int
    title: str
    story: str
    calls: list[Call] = field(default_factory=list)


def print_start() -> None:
    print_line("An example day with Offer Ledger")
    print_text(
        "Partners send their offers to a platform. Its ledger records each change: which offers were live at any time,"
        " and who changed them. The calls below are real requests to a server on a temporary ledger. Of each offer, the"
        " demo shows only the id and the headline; of a long id in a reply, only its beginning."
    )


def print_end() -> None:
    print()
    print_line("All replies were as expected. The temporary ledger has been removed. To continue:")
    print_line(f"{TEXT_MARGIN}make run              start the service with a partner and a token")
    print_line(f"{TEXT_MARGIN}offer-ledger --help   list all commands")


def print_console_links(links: Sequence[tuple[str, str]]) -> None:
    """Prints the descriptions of the users with their sign-in links."""
    print()
    print_line("All replies were as expected, and the server is still running. These links sign in to the console:")
    for user, link in links:
        print_line(f"{TEXT_MARGIN}{user}")
        print_line(f"{TEXT_MARGIN}{TEXT_MARGIN}{link}")
    print_line("The ledger is temporary. Tidepool has sent a batch on each of the last 30 days. Press Ctrl-C to stop.")
    sys.stdout.flush()  # a pipe is block-buffered, and no more output follows


def print_step(step: StoryStep) -> None:
    print()
    print_line(f"{step.number}. {step.title}")
    print_text(step.story)


def print_text(text: str) -> None:
    for line in wrap(text, WIDTH - len(TEXT_MARGIN)):
        print_line(TEXT_MARGIN + line)


def print_call(call: Call, sent: Iterable[str], answered: Iterable[str], *, joined: bool) -> None:
    """`sent`, `answered`: the lines for the body and the reply. `joined`: without a blank line after the previous
    call."""
    if not joined:
        print()
    caller = "" if joined else call.caller
    print_line(f"{TEXT_MARGIN}{caller:{CALLER_WIDTH}}{call.request}")
    for line in sent:
        print_line(f"{TEXT_MARGIN}{'':{CALLER_WIDTH}}{line}")
    status = "" if call.status is None else f"{call.status} "
    for number, line in enumerate(answered):
        lead = "" if number else f"{ANSWER}{status}"
        print_line(f"{TEXT_MARGIN}{'':{CALLER_WIDTH}}{lead:{len(ANSWER)}}{line}")


# Requests


def request_lines(batch: dict[str, Any], *, with_id: bool) -> Iterator[str]:
    if with_id:
        yield f"concurrencyRequestId: {batch['concurrencyRequestId']}"
    label = f"{batch['operation']}:"
    for offer in batch["offers"]:
        content = offer["offerData"][0]
        cap = f", dailyCap {_json(content['dailyCap'])}" if "dailyCap" in content else ""
        yield f"{label} {offer['externalId']} {_json(content['headline'])}{cap}"
        label = " " * len(label)


def merchant_offer_lines(document: dict[str, Any] | None) -> list[str]:
    return [f"{document['offerId']} {_json(document['offerName'])}"] if document else []


def record_lines(records: Sequence[dict[str, Any]]) -> list[str]:
    return in_columns([(r["offerStatus"], r["offerId"], _json(r["offerName"])) for r in records])


def publisher_report_lines(document: dict[str, Any]) -> list[str]:
    """Returns the members of an activation or a purchase, with long ids and times shortened."""
    shorten = {"offerUid": short, "transactedAt": without_fraction}
    members = [f"{name} {shorten.get(name, str)(value)}" for name, value in document.items()]
    return wrap(", ".join(members), WIDTH - len(TEXT_MARGIN) - CALLER_WIDTH)


# Replies


def file_report_lines(report: dict[str, Any]) -> list[str]:
    rows = [(record["outcome"], record["externalId"], "; ".join(record["messages"])) for record in report["records"]]
    return [f"run {short(report['runId'])}, {report['state']}", *in_columns(rows)]


def trace_line(trace: dict[str, Any]) -> str:
    return f"{trace['outcome']}, version {trace['version']}"


def activation_lines(activation: dict[str, Any]) -> list[str]:
    return [
        f"activation {short(activation['activationId'])}: version {activation['offerVersion']} of the offer",
        f"for {activation['redemptionWindowDays']} days, until {without_fraction(activation['redeemableUntil'])}",
    ]


def redemption_lines(redemption: dict[str, Any]) -> list[str]:
    terms = f"activation {short(redemption['activationId'])}, version {redemption['offerVersion']} of the offer"
    amount = f"{redemption['amount']} {redemption['currency']}"
    return [f"redemption {short(redemption['redemptionId'])}: {amount}, on {terms}"]


def refusal_lines(problem: dict[str, Any]) -> list[str]:
    return [problem["type"], problem["detail"]]


def window_lines(windows: Sequence[dict[str, Any]]) -> list[str]:
    rows = [("customer", "version", "redeemable until", "state", "redeemed")]
    for w in windows:
        redeemed = ", ".join(f"{part['amount']} {part['currency']}" for part in w["redeemed"])
        rows.append(
            (w["customerId"], str(w["offerVersion"]), without_fraction(w["redeemableUntil"]), w["state"], redeemed)
        )
    return [_count_of(windows, "window"), *in_columns(rows)]


def batch_reply_lines(reply: dict[str, Any], *notes: str) -> list[str]:
    data = reply["data"]
    head = ", ".join([reply["responseType"], f"run {short(data['runId'])}", *notes])
    ids: dict[tuple[str, str], list[str]] = {}
    for outcome, name in REPLY_LISTS.items():
        for item in data[name]:
            ids.setdefault((outcome, "; ".join(item["messages"])), []).append(item["externalId"])
    return [head, *in_columns([(outcome, ", ".join(named), message) for (outcome, message), named in ids.items()])]


def run_line(run: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in (run["counts"] or {}).items() if count)
    ended = f": {counts}, position {run['position']}" if run["counts"] else ""
    return f"run {short(run['runId'])}, {run['state']}{ended}"


def item_lines(items: Iterable[dict[str, Any]]) -> list[str]:
    return [f"{item['externalId']} {item['outcome']}" for item in items]


def offer_lines(offers: Sequence[dict[str, Any]]) -> list[str]:
    rows = [(o["externalId"], o["status"], f"version {o['version']}", _headline_or_name(o)) for o in offers]
    return [_count_of(offers, "offer"), *in_columns(rows)]


def inventory_lines(offers: Sequence[dict[str, Any]]) -> list[str]:
    titles = ("offerUid", "partner", "offer", "status", "version", "headline or name")
    rows = [
        (short(o["offerUid"]), o["partner"], o["externalId"], o["status"], str(o["version"]), _headline_or_name(o))
        for o in offers
    ]
    return [_count_of(offers, "offer"), *in_columns([titles, *rows])]


def _headline_or_name(offer: dict[str, Any]) -> str:
    content = offer["content"]
    return _json(content.get("headline") or content["offerName"])


def history_lines(events: Sequence[dict[str, Any]]) -> list[str]:
    """Returns a table; an event that changes several fields has several rows."""
    rows = [("time (UTC)", "event", "by", "run", "changed fields")]
    for event in events:
        time = event["recordedAt"].partition("T")[2][: len("00:00:00.000")]
        head = (time, event["type"], event["actor"], short(event["runId"]))
        for number, change in enumerate(_changes(event)):
            rows.append((*(head if number == 0 else ("",) * len(head)), change))
    return [_count_of(events, "event"), *in_columns(rows)]


def _changes(event: dict[str, Any]) -> Iterator[str]:
    for change in event["changes"]:
        name, before, after = change["field"].rpartition("/")[2], change["before"], change["after"]
        match name:
            case "status":
                yield f"{name}: {before or '(none)'} {ANSWER}{after}"
                if event["cause"]:
                    yield f"({event['cause']})"
            case "content":
                # The whole content of a new offer: only its headline is printed.
                yield f"headline: {_json(after['headline'])}"
            case _:
                yield f"{name}: {_json(before)}"
                yield f"{'':{len(name) - 1}}{ANSWER}{_json(after)}"


def _count_of(items: Sequence[object], name: str) -> str:
    return f"{len(items)} {name}{'' if len(items) == 1 else 's'}"


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def without_fraction(time: str) -> str:
    return f"{time[: len('2026-11-22T12:30:00')]}Z"


def short(uid: str) -> str:
    return uid[:SHORT_ID]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
