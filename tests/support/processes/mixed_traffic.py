"""Everything that can be written, by all channels at once; whoever is not answered, asks again until it is.

Nobody touches what another one writes, so it is known of every stream which events it must have: those that were acknowledged,
each once."""

import random
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

import httpx2
from eventsourcing.persistence import PersistenceError

from api.redemption.redemption_routes import REDEMPTIONS_PATH
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.refusals import TokenNameTaken
from domain.values import Channel, OfferKey, Role, partner_uid, redemption_uid, token_uid
from tests.support.calls import publishers
from tests.support.calls.merchants import uid_of
from tests.support.calls.offers_files import offers_file, record, send_form
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import OPERATOR, Caller
from tests.support.histories.single_requests import merchant_key, send
from tests.support.processes.fault_server import PATIENCE_SECONDS, PUBLISHERS_SECRET, SECRET

SMALL, LARGE = 10, 400
LARGE_TEXT = "Noodles. " * 350
"""So many of those are for a helper."""
SELDOM = 0.2
KEPT = 20
SHOPS = 8
FIRST_DAY = date(2020, 1, 1)
A_MOMENT = 0.05


class Mixed:
    """Many who write, until it is enough."""

    def __init__(self, url: str, settings: Settings, seed: str) -> None:
        self._url, self._settings, self._seed = url, settings, seed
        self._acknowledged: dict[UUID, list[str]] = {}
        self._failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._enough, self._in_vain = threading.Event(), threading.Event()
        self.traces: list[str] = []
        """Those that somebody has been told of."""
        writers = (*[Offers] * SHOPS, Batches, Files, Customers, Settling)
        self._writers = [writer(self, random.Random(f"{seed} {n}"), f"{n}") for n, writer in enumerate(writers)]
        self._threads = [threading.Thread(target=self._go_on, args=(writer,)) for writer in self._writers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._in_vain.set()
        self._stop()

    def end(self) -> None:
        """When everybody has an answer to what they have asked."""
        self._stop()
        self._require_no_failure()

    def goes_on(self) -> None:
        """Returns when each of them has been answered once more."""
        before = [writer.done for writer in self._writers]

        def waiting() -> list[str]:
            self._require_no_failure()
            each = zip(self._writers, before, strict=True)
            return [f"{type(writer).__name__}: {writer.last}" for writer, done in each if writer.done == done]

        deadline = time.monotonic() + PATIENCE_SECONDS
        while still := waiting():
            assert time.monotonic() < deadline, still
            time.sleep(0.01)

    def acknowledged(self) -> dict[UUID, list[str]]:
        """The events of each stream that somebody has been told of."""
        with self._lock:
            return {uid: list(types) for uid, types in self._acknowledged.items()}

    def was_told(self, type_of_event: str, *uids: UUID) -> None:
        with self._lock:
            for uid in uids:
                self._acknowledged.setdefault(uid, []).append(type_of_event)

    def caller(self, secret: str) -> Caller:
        caller = Caller(self._url, secret)
        caller.http.timeout = 30
        return caller

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def is_in_vain(self) -> bool:
        return self._in_vain.is_set()

    def _go_on(self, writer: "Writer") -> None:
        try:
            while not self._enough.is_set():
                writer.write(writer.done)
                writer.done += 1
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody sees it
            self._failures.append(error)
        finally:
            writer.close()

    def _stop(self) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _require_no_failure(self) -> None:
        for failure in self._failures:
            raise failure


class Writer:
    def __init__(self, traffic: Mixed, chance: random.Random, name: str) -> None:
        self.traffic, self.chance, self.name = traffic, chance, name
        self.done = 0
        self.last = ""
        """What was answered last, if it was not what was asked for."""
        self.caller = traffic.caller(SECRET)

    def write(self, number: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.caller.http.close()

    def answered(self, ask: Callable[[], httpx2.Response], *good: int) -> httpx2.Response:
        """Asks until it is answered so. Else nobody answers, or the service says that it can't now, or not yet."""
        while not self.traffic.is_in_vain:
            try:
                reply = ask()
            except httpx2.TransportError as error:
                self.last = repr(error)
            else:
                if reply.status_code in good:
                    return reply
                self.last = f"{reply.status_code} {reply.text}"
                assert reply.status_code in {202, 503}, self.last
            time.sleep(A_MOMENT)
        raise AssertionError(self.last)

    def some(self, name: str) -> tuple[list[str], str]:
        """Names that nobody has, few or many; and what is said of them."""
        is_large = self.chance.random() < SELDOM
        many = LARGE if is_large else SMALL
        return [f"{name}-{n}" for n in range(many)], LARGE_TEXT if is_large else "Noodles."


class Offers(Writer):
    """Single offers of a merchant: put, and some taken down again."""

    def write(self, number: int) -> None:
        key = merchant_key(f"MO-{self.name}-{number}")
        self._send(key, "Open a jar", "OfferCreated")
        if self.chance.random() < SELDOM:
            self._send(key, None, "OfferDeleted")

    def _send(self, key: OfferKey, name: str | None, type_of_event: str) -> None:
        reply = self.answered(lambda: send(self.caller, key, name), 202)
        self.traffic.traces.append(reply.json()["trace_id"])
        self.traffic.was_told(type_of_event, key.offer_uid)


class Batches(Writer):
    """New offers by an Insert, which the next Synchronize pauses."""

    def write(self, number: int) -> None:
        new, text = self.some(f"TP-{number}")
        counts = self._send("Insert", [item(name, offerDetails=text) for name in new])
        assert counts == {"created": len(new)}
        self.traffic.was_told("OfferCreated", *map(_uid, new))
        kept = [f"KEPT-{n}" for n in range(KEPT)]
        counts = self._send("Synchronize", [item(name, headline=f"Open jar {number}") for name in kept])
        assert counts == {"updated" if number else "created": KEPT, "paused": len(new)}
        self.traffic.was_told("OfferUpdated" if number else "OfferCreated", *map(_uid, kept))
        self.traffic.was_told("OfferPaused", *map(_uid, new))

    def _send(self, operation: str, items: list[Any]) -> dict[str, int]:
        sent = body(batch(operation, items))
        reply = self.answered(lambda: self.caller.send(sent), 200)
        return {name: count for name, count in reply.json()["data"]["counts"].items() if count}


class Files(Writer):
    """A file a day: new offers, and others that are in each of them."""

    def write(self, number: int) -> None:
        new, text = self.some(f"OFR-{number}")
        kept = [f"KEPT-{n}" for n in range(KEPT)]
        records = [record(name, description=text) for name in new]
        records += [record(name, offerName=f"Noodles of day {number}") for name in kept]
        dated = FIRST_DAY + timedelta(days=number)
        sent = body(offers_file(*records, fileCreationDate=str(dated)))
        name = f"TidepoolOffers{dated:%Y%m%d}.json"
        counts = self.answered(lambda: send_form(self.caller, sent, name), 200).json()["counts"]
        updated = KEPT if number else 0
        assert (counts["created"], counts["updated"]) == (len(new) + KEPT - updated, updated)
        self.traffic.was_told("OfferUpdated" if number else "OfferCreated", *(uid_of(offer=name) for name in kept))
        self.traffic.was_told("OfferCreated", *(uid_of(offer=name) for name in new))


class Customers(Writer):
    """An activation, a purchase on it, and a part of that taken back."""

    def __init__(self, traffic: Mixed, chance: random.Random, name: str) -> None:
        super().__init__(traffic, chance, name)
        self.caller.http.close()
        self.caller = traffic.caller(PUBLISHERS_SECRET)
        self._offer = str(merchant_key("MO-activated").offer_uid)

    def write(self, number: int) -> None:
        customer, transaction = f"C-{number}", f"T-{number}"
        terms = self._post("/api/v1/activations", customerId=customer, offerUid=self._offer)
        self.traffic.was_told("OfferActivated", UUID(terms["activationId"]))
        bought = {
            "transactionId": transaction, "customerId": customer, "offerUid": self._offer, "amount": "12.50",
            "currency": "USD", "transactedAt": terms["activatedAt"],
        }  # fmt: skip
        uid = redemption_uid(transaction)
        assert self._post(REDEMPTIONS_PATH, **bought)["activationId"] == terms["activationId"]
        self.traffic.was_told("OfferRedeemed", uid)
        taken = self._post(f"{REDEMPTIONS_PATH}/{uid}/reversals", reversalId="R-1", amount="2.50")
        assert taken["remaining"] in {"10", "10.00"}
        self.traffic.was_told("RedemptionReversed", uid)

    def _post(self, path: str, **sent: Any) -> dict[str, Any]:
        told: dict[str, Any] = self.answered(lambda: publishers.post(self.caller, path, **sent), 200, 201).json()
        return told


class Settling(Writer):
    """Partners and tokens, by another process than the servers."""

    def __init__(self, traffic: Mixed, chance: random.Random, name: str) -> None:
        super().__init__(traffic, chance, name)
        self._service = open_service(traffic.settings)
        self._ledger = self._service.__enter__().ledger

    def close(self) -> None:
        super().close()
        self._service.__exit__(None, None, None)

    def write(self, number: int) -> None:
        partner, token = f"harbor-{number}", f"books-{number}"
        self._handle(SetPartner(partner, rps=3))
        self.traffic.was_told("PartnerRegistered", partner_uid(partner))
        self._handle(CreateToken(token, Role.AUDITOR, None, uuid4().hex, 0, None))
        self.traffic.was_told("TokenCreated", token_uid(token))
        self._handle(RevokeToken(token))
        self.traffic.was_told("TokenRevoked", token_uid(token))
        time.sleep(self.chance.uniform(0, A_MOMENT))

    def _handle(self, command: SetPartner | CreateToken | RevokeToken) -> None:
        while True:
            try:
                self._ledger.handle(command, OPERATOR)
            except PersistenceError:
                time.sleep(A_MOMENT)
            except TokenNameTaken:
                return
            else:
                return


def _uid(external_id: str) -> UUID:
    return OfferKey(PARTNER, Channel.CUSTOM, None, external_id).offer_uid
