"""How is a step of the demo told? In short lines: who calls, what is sent, what comes back."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any

import msgspec
from msgspec import Struct, field

from api.cli.output import print_line

WIDTH = 100
TEXT_MARGIN = "   "
CALLER_WIDTH = 10
ANSWER = "-> "
SHORT_ID = 8
LISTS = {
    "created": "createdOffers",
    "updated": "updatedOffers",
    "unchanged": "notChangedOffers",
    "paused": "pausedOffers",
    "failed": "failedOffers",
}
"""The outcomes, and where a reply lists them."""


class Call(Struct, frozen=True):
    """One request and its answer; a command has no status, nor has a request whose reply is lost."""

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


def tell_start() -> None:
    print_line("A day in the life of the ledger")
    tell_text(
        "Partners send their offers to a platform; its ledger takes them in and can always tell what was live, when,"
        " and who changed it. The calls below are real: a server is running, on a temporary ledger. Of offers only id"
        " and headline are shown, of long ids in answers only the beginning."
    )


def tell_end() -> None:
    print()
    print_line("All of this came out as told; the temporary ledger is gone. What to try next:")
    print_line(f"{TEXT_MARGIN}make run              the service, with a partner and a token to call it with")
    print_line(f"{TEXT_MARGIN}offer-ledger --help   all commands")


def tell_console(links: Sequence[tuple[str, str]]) -> None:
    """By who signs in with it."""
    print()
    print_line(
        "All of this came out as told, and is there to be looked at. Sign in to the console by one of these links:"
    )
    for who, link in links:
        print_line(f"{TEXT_MARGIN}{who}:")
        print_line(f"{TEXT_MARGIN}{TEXT_MARGIN}{link}")
    print_line("The ledger is a temporary one, and its clock some weeks ahead, as told. Ctrl-C ends it.")
    sys.stdout.flush()  # whoever reads it through a pipe has nothing else to wait for


def tell_step(step: StoryStep) -> None:
    print()
    print_line(f"{step.number}. {step.title}")
    tell_text(step.story)


def tell_text(text: str) -> None:
    for line in wrap(text, WIDTH - len(TEXT_MARGIN)):
        print_line(TEXT_MARGIN + line)


def tell_call(call: Call, sent: Iterable[str], answered: Iterable[str], *, joined: bool) -> None:
    """`sent`, `answered`: the essence of the body and of the answer, line by line; `joined`: to the call before."""
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


# What is sent


def of_request(batch: dict[str, Any], *, with_id: bool) -> Iterator[str]:
    if with_id:
        yield f"concurrencyRequestId: {batch['concurrencyRequestId']}"
    lead = f"{batch['operation']}:"
    for offer in batch["offers"]:
        content = offer["offerData"][0]
        cap = f", dailyCap {_json(content['dailyCap'])}" if "dailyCap" in content else ""
        yield f"{lead} {offer['externalId']} {_json(content['headline'])}{cap}"
        lead = " " * len(lead)


def of_merchant_offer(document: dict[str, Any] | None) -> list[str]:
    return [f"{document['offerId']} {_json(document['offerName'])}"] if document else []


def of_records(records: Sequence[dict[str, Any]]) -> list[str]:
    return in_columns([(r["offerStatus"], r["offerId"], _json(r["offerName"])) for r in records])


def of_report(document: dict[str, Any]) -> list[str]:
    """Long ids and times in short."""
    shown = {"offerUid": short, "transactedAt": to_the_second}
    told = [f"{name} {shown.get(name, str)(value)}" for name, value in document.items()]
    return wrap(", ".join(told), WIDTH - len(TEXT_MARGIN) - CALLER_WIDTH)


# What is answered


def of_file(report: dict[str, Any]) -> list[str]:
    rows = [(record["outcome"], record["externalId"], "; ".join(record["messages"])) for record in report["records"]]
    return [f"run {short(report['runId'])}, {report['state']}", *in_columns(rows)]


def of_trace(trace: dict[str, Any]) -> str:
    return f"{trace['outcome']}, version {trace['version']}"


def of_activation(told: dict[str, Any]) -> list[str]:
    return [
        f"activation {short(told['activationId'])}: version {told['offerVersion']} of the offer",
        f"for {told['redemptionWindowDays']} days, until {to_the_second(told['redeemableUntil'])}",
    ]


def of_redemption(told: dict[str, Any]) -> list[str]:
    terms = f"activation {short(told['activationId'])}, version {told['offerVersion']} of the offer"
    return [f"redemption {short(told['redemptionId'])}: {told['amount']} {told['currency']}, on {terms}"]


def of_refusal(problem: dict[str, Any]) -> list[str]:
    return [problem["type"], problem["detail"]]


def of_windows(windows: Sequence[dict[str, Any]]) -> list[str]:
    rows = [("customer", "version", "redeemable until", "state", "redeemed")]
    for w in windows:
        redeemed = ", ".join(f"{part['amount']} {part['currency']}" for part in w["redeemed"])
        rows.append(
            (w["customerId"], str(w["offerVersion"]), to_the_second(w["redeemableUntil"]), w["state"], redeemed)
        )
    return [_how_many(windows, "window"), *in_columns(rows)]


def of_batch(reply: dict[str, Any], *notes: str) -> list[str]:
    data = reply["data"]
    head = ", ".join([reply["responseType"], f"run {short(data['runId'])}", *notes])
    ids: dict[tuple[str, str], list[str]] = {}
    for outcome, name in LISTS.items():
        for item in data[name]:
            ids.setdefault((outcome, "; ".join(item["messages"])), []).append(item["externalId"])
    return [head, *in_columns([(outcome, ", ".join(named), message) for (outcome, message), named in ids.items()])]


def of_run(run: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in (run["counts"] or {}).items() if count)
    ended = f": {counts}, position {run['position']}" if run["counts"] else ""
    return f"run {short(run['runId'])}, {run['state']}{ended}"


def of_items(items: Iterable[dict[str, Any]]) -> list[str]:
    return [f"{item['externalId']} {item['outcome']}" for item in items]


def of_offers(offers: Sequence[dict[str, Any]]) -> list[str]:
    rows = [(o["externalId"], o["status"], f"version {o['version']}", _headline(o)) for o in offers]
    return [_how_many(offers, "offer"), *in_columns(rows)]


def of_inventory(offers: Sequence[dict[str, Any]]) -> list[str]:
    titles = ("offerUid", "partner", "offer", "status", "version", "headline or name")
    rows = [
        (short(o["offerUid"]), o["partner"], o["externalId"], o["status"], str(o["version"]), _headline(o))
        for o in offers
    ]
    return [_how_many(offers, "offer"), *in_columns([titles, *rows])]


def _headline(offer: dict[str, Any]) -> str:
    content = offer["content"]
    return _json(content.get("headline") or content["offerName"])


def of_history(events: Sequence[dict[str, Any]]) -> list[str]:
    """A table; an event that changes several fields has several lines."""
    rows = [("when (UTC)", "what", "by", "run", "what changed")]
    for event in events:
        when = event["recordedAt"].partition("T")[2][: len("00:00:00.000")]
        head = (when, event["type"], event["actor"], short(event["runId"]))
        for number, change in enumerate(_changes(event)):
            rows.append((*(head if number == 0 else ("",) * len(head)), change))
    return [_how_many(events, "event"), *in_columns(rows)]


def _changes(event: dict[str, Any]) -> Iterator[str]:
    for change in event["changes"]:
        name, before, after = change["field"].rpartition("/")[2], change["before"], change["after"]
        match name:
            case "status":
                yield f"{name}: {before or '(none)'} {ANSWER}{after}"
                if event["cause"]:
                    yield f"({event['cause']})"
            case "content":
                # All of a new offer; its headline stands for it.
                yield f"headline: {_json(after['headline'])}"
            case _:
                yield f"{name}: {_json(before)}"
                yield f"{'':{len(name) - 1}}{ANSWER}{_json(after)}"


def _how_many(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def to_the_second(time: str) -> str:
    return f"{time[: len('2026-11-22T12:30:00')]}Z"


def short(uid: str) -> str:
    return uid[:SHORT_ID]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
