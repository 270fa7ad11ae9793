"""Writes on all channels at once; each writer repeats a request until it is answered.

Writers do not share streams, so the expected events of each stream are known: the acknowledged ones, each once.
"""

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
from tests.support.processes.fault_server import PUBLISHER_SECRET, SECRET
from tests.support.waiting import wait_until

SMALL, LARGE = 10, 400
LARGE_TEXT = "Noodles. " * 350
"""`LARGE` offers with this text make a batch that a worker process executes."""
RARE_SHARE = 0.2
KEPT = 20
SHOPS = 8
FIRST_DAY = date(2020, 1, 1)
PAUSE_SECONDS = 0.05


class MixedTraffic:
    """Writers in threads, which run until `end` or until the block ends."""

    def __init__(self, url: str, settings: Settings, seed: str) -> None:
        self._url, self._settings, self._seed = url, settings, seed
        self._acknowledged: dict[UUID, list[str]] = {}
        self._failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._stopping, self._abandoned = threading.Event(), threading.Event()
        self.traces: list[str] = []
        """The ids of the acknowledged single requests."""
        writers = (*[Offers] * SHOPS, Batches, Files, Customers, Administration)
        self._writers = [writer(self, random.Random(f"{seed} {n}"), f"{n}") for n, writer in enumerate(writers)]
        self._threads = [threading.Thread(target=self._run, args=(writer,)) for writer in self._writers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandoned.set()
        self._stop()

    def end(self) -> None:
        """Stops the writers once each of their requests is answered. Raises the failure of a writer."""
        self._stop()
        self._require_no_failure()

    def wait_for_progress(self) -> None:
        """Waits until each writer has completed one more round."""
        before = [writer.rounds for writer in self._writers]

        def waiting() -> list[str]:
            self._require_no_failure()
            each = zip(self._writers, before, strict=True)
            return [f"{type(writer).__name__}: {writer.last}" for writer, rounds in each if writer.rounds == rounds]

        wait_until(lambda: not waiting(), describe=waiting)

    def acknowledged(self) -> dict[UUID, list[str]]:
        """Returns the types of the acknowledged events per stream."""
        with self._lock:
            return {uid: list(types) for uid, types in self._acknowledged.items()}

    def acknowledge(self, type_of_event: str, *uids: UUID) -> None:
        with self._lock:
            for uid in uids:
                self._acknowledged.setdefault(uid, []).append(type_of_event)

    def caller(self, secret: str) -> Caller:
        return Caller(self._url, secret)

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def is_abandoned(self) -> bool:
        return self._abandoned.is_set()

    def _run(self, writer: "Writer") -> None:
        try:
            while not self._stopping.is_set():
                writer.write(writer.rounds)
                writer.rounds += 1
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._failures.append(error)
        finally:
            writer.close()

    def _stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _require_no_failure(self) -> None:
        for failure in self._failures:
            raise failure


class Writer:
    def __init__(self, traffic: MixedTraffic, chance: random.Random, name: str) -> None:
        self.traffic, self.chance, self.name = traffic, chance, name
        self.rounds = 0
        self.last = ""
        """The last unexpected answer."""
        self.caller = traffic.caller(SECRET)

    def write(self, number: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.caller.http.close()

    def answered(self, request: Callable[[], httpx2.Response], *expected: int) -> httpx2.Response:
        """Repeats a request until the answer has an expected status. In between, only 202, 503 or no answer is
        allowed."""
        while not self.traffic.is_abandoned:
            try:
                reply = request()
            except httpx2.TransportError as error:
                self.last = repr(error)
            else:
                if reply.status_code in expected:
                    return reply
                self.last = f"{reply.status_code} {reply.text}"
                assert reply.status_code in {202, 503}, self.last
            time.sleep(PAUSE_SECONDS)
        raise AssertionError(self.last)

    def new_offers(self, name: str) -> tuple[list[str], str]:
        """Returns new offer ids, few or many, and a text for their contents."""
        is_large = self.chance.random() < RARE_SHARE
        count = LARGE if is_large else SMALL
        return [f"{name}-{n}" for n in range(count)], LARGE_TEXT if is_large else "Noodles."


class Offers(Writer):
    """Single offers of a merchant: puts offers, and deletes some of them."""

    def write(self, number: int) -> None:
        key = merchant_key(f"MO-{self.name}-{number}")
        self._send(key, "Open a jar", "OfferCreated")
        if self.chance.random() < RARE_SHARE:
            self._send(key, None, "OfferDeleted")

    def _send(self, key: OfferKey, name: str | None, type_of_event: str) -> None:
        reply = self.answered(lambda: send(self.caller, key, name), 202)
        self.traffic.traces.append(reply.json()["trace_id"])
        self.traffic.acknowledge(type_of_event, key.offer_uid)


class Batches(Writer):
    """Batches: an Insert with new offers, which the following Synchronize pauses."""

    def write(self, number: int) -> None:
        new, text = self.new_offers(f"TP-{number}")
        counts = self._send("Insert", [item(name, offerDetails=text) for name in new])
        assert counts == {"created": len(new)}
        self.traffic.acknowledge("OfferCreated", *map(_uid, new))
        kept = [f"KEPT-{n}" for n in range(KEPT)]
        counts = self._send("Synchronize", [item(name, headline=f"Open jar {number}") for name in kept])
        assert counts == {"updated" if number else "created": KEPT, "paused": len(new)}
        self.traffic.acknowledge("OfferUpdated" if number else "OfferCreated", *map(_uid, kept))
        self.traffic.acknowledge("OfferPaused", *map(_uid, new))

    def _send(self, operation: str, items: list[Any]) -> dict[str, int]:
        sent = body(batch(operation, items))
        reply = self.answered(lambda: self.caller.send(sent), 200)
        return {name: count for name, count in reply.json()["data"]["counts"].items() if count}


class Files(Writer):
    """Offers files, one per day: with new offers, and with offers that are in every file."""

    def write(self, number: int) -> None:
        new, text = self.new_offers(f"OFR-{number}")
        kept = [f"KEPT-{n}" for n in range(KEPT)]
        records = [record(name, description=text) for name in new]
        records += [record(name, offerName=f"Noodles of day {number}") for name in kept]
        dated = FIRST_DAY + timedelta(days=number)
        sent = body(offers_file(*records, fileCreationDate=str(dated)))
        name = f"TidepoolOffers{dated:%Y%m%d}.json"
        counts = self.answered(lambda: send_form(self.caller, sent, name), 200).json()["counts"]
        updated = KEPT if number else 0
        assert (counts["created"], counts["updated"]) == (len(new) + KEPT - updated, updated)
        self.traffic.acknowledge("OfferUpdated" if number else "OfferCreated", *(uid_of(offer=name) for name in kept))
        self.traffic.acknowledge("OfferCreated", *(uid_of(offer=name) for name in new))


class Customers(Writer):
    """Activations, each with a purchase and a partial reversal."""

    def __init__(self, traffic: MixedTraffic, chance: random.Random, name: str) -> None:
        super().__init__(traffic, chance, name)
        self.caller.http.close()
        self.caller = traffic.caller(PUBLISHER_SECRET)
        self._offer = str(merchant_key("MO-activated").offer_uid)

    def write(self, number: int) -> None:
        customer, transaction = f"C-{number}", f"T-{number}"
        terms = self._post("/api/v1/activations", customerId=customer, offerUid=self._offer)
        self.traffic.acknowledge("OfferActivated", UUID(terms["activationId"]))
        purchase = {
            "transactionId": transaction, "customerId": customer, "offerUid": self._offer, "amount": "12.50",
            "currency": "USD", "transactedAt": terms["activatedAt"],
        }  # fmt: skip
        uid = redemption_uid(transaction)
        assert self._post(REDEMPTIONS_PATH, **purchase)["activationId"] == terms["activationId"]
        self.traffic.acknowledge("OfferRedeemed", uid)
        reversal = self._post(f"{REDEMPTIONS_PATH}/{uid}/reversals", reversalId="R-1", amount="2.50")
        assert reversal["remaining"] in {"10", "10.00"}
        self.traffic.acknowledge("RedemptionReversed", uid)

    def _post(self, path: str, **sent: Any) -> dict[str, Any]:
        reply: dict[str, Any] = self.answered(lambda: publishers.post(self.caller, path, **sent), 200, 201).json()
        return reply


class Administration(Writer):
    """Partners and tokens, written by another process than the server's."""

    def __init__(self, traffic: MixedTraffic, chance: random.Random, name: str) -> None:
        super().__init__(traffic, chance, name)
        self._service = open_service(traffic.settings)
        self._ledger = self._service.__enter__().ledger

    def close(self) -> None:
        super().close()
        self._service.__exit__(None, None, None)

    def write(self, number: int) -> None:
        partner, token = f"harbor-{number}", f"books-{number}"
        self._handle(SetPartner(partner, rps=3))
        self.traffic.acknowledge("PartnerRegistered", partner_uid(partner))
        self._handle(CreateToken(token, Role.AUDITOR, None, uuid4().hex, 0, None))
        self.traffic.acknowledge("TokenCreated", token_uid(token))
        self._handle(RevokeToken(token))
        self.traffic.acknowledge("TokenRevoked", token_uid(token))
        time.sleep(self.chance.uniform(0, PAUSE_SECONDS))

    def _handle(self, command: SetPartner | CreateToken | RevokeToken) -> None:
        while True:
            try:
                self._ledger.handle(command, OPERATOR)
            except PersistenceError:
                time.sleep(PAUSE_SECONDS)
            except TokenNameTaken:
                return
            else:
                return


def _uid(external_id: str) -> UUID:
    return OfferKey(PARTNER, Channel.CUSTOM, None, external_id).offer_uid
