"""What should become of single requests and offers files of one partner, in the plainest words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain.runs.run import OUTCOMES, Outcome
from domain.values import MissingFromFile, OfferKey, Status
from tests.support.histories.offers_files import document, record
from tests.support.histories.single_requests import Known, Model

Asked = tuple[OfferKey, str | None]
"""A single request: a name puts the offer with it, None takes it down."""

Ids = tuple[str | None, str | None]


class Fate(NamedTuple):
    """What is told of a record, or of an offer that is missing."""

    kind: str
    ids: Ids
    warned: bool


class Said(NamedTuple):
    """A record. Its flaw, if it has one, is that this member can't be read; `record`: nothing of it can."""

    key: OfferKey
    offer_status: str
    name: str
    flaw: str | None = None

    @property
    def ids(self) -> Ids:
        """As far as they can be read."""
        merchant, offer = self.key.merchant_id, self.key.external_id
        unreadable = {"record": (None, None), "merchantId": (None, offer), "offerId": (merchant, None)}
        return unreadable.get(self.flaw or "", (merchant, offer))

    def document(self) -> Any:
        sent = record(self.key, self.offer_status, self.name)
        if self.flaw == "record":
            return [sent]
        return {**sent, self.flaw: 7} if self.flaw else sent


class File(NamedTuple):
    """An offers file, made on that day of the month."""

    day: int
    said: tuple[Said, ...]

    def sent(self) -> bytes:
        """Not every day's files are spelt alike."""
        return document([said.document() for said in self.said], indent=self.day % 2 or None)


class MerchantModel(Model):
    """A partner's offers on the merchant channel, and the files that have been processed."""

    def __init__(self) -> None:
        super().__init__()
        self.missing = MissingFromFile.REPORT
        self.answers: dict[tuple[int, bytes], list[Fate]] = {}
        """By the day and the bytes of a file."""
        self.newest_day = 0

    def answer(self, file: File) -> list[Fate] | None:
        """What was told of it, if it has been processed before."""
        return self.answers.get((file.day, file.sent()))

    def is_too_old(self, file: File) -> bool:
        return self.answer(file) is None and self.newest_day > file.day

    def process(self, file: File, before: Mapping[OfferKey, Known]) -> list[Fate]:
        """`before`: the offers as they were when the file was taken up."""
        copies = Counter(said.ids for said in file.said)
        fates = [self._fate(said, copies[said.ids]) for said in file.said]
        understood = all(None not in ids for ids in copies) and any(fate.kind != "failed" for fate in fates)
        for key, known in list(self.offers.items()):
            ids = key.merchant_id, key.external_id
            if known.status is Status.ACTIVE and ids not in copies:
                if self.missing is MissingFromFile.DELETE and understood and before.get(key) == known:
                    self.execute(key, None)
                    fates.append(Fate("deleted", ids, warned=True))
                else:
                    fates.append(Fate("discrepancy", ids, warned=True))
        if any(fate.kind != "failed" for fate in fates[: len(file.said)]):
            self.newest_day = max(self.newest_day, file.day)
        fates.sort(key=str)
        self.answers[file.day, file.sent()] = fates
        return fates

    def _fate(self, said: Said, copies: int) -> Fate:
        if said.flaw or copies > 1:
            return Fate("failed", said.ids, warned=True)
        known = self.offers.get(said.key)
        is_active = known is not None and known.status is Status.ACTIVE
        differs = known is not None and known.name != said.name
        warned = {
            "NEW": known is not None,
            "UPDATED": known is None,
            "UPSERT": False,
            "NO-CHANGE": not is_active or differs,
            "DELETED": known is None,
        }[said.offer_status]
        if said.offer_status == "NO-CHANGE" and is_active and differs:
            return Fate("unchanged", said.ids, warned)
        outcome, _ = self.execute(said.key, None if said.offer_status == "DELETED" else said.name)
        return Fate(str(outcome), said.ids, warned)


def told_of(outcome: Outcome) -> list[Fate]:
    """What is told of a file in fact, in the model's words."""
    fates = [
        Fate(kind, (item.merchant_id, item.external_id), bool(item.messages))
        for kind in OUTCOMES
        for item in getattr(outcome, kind)
    ]
    return sorted(fates, key=str)


def changes(fates: Sequence[Fate]) -> int:
    """How many offers have changed, each by one event."""
    return sum(fate.kind in {"created", "updated", "restored", "deleted"} for fate in fates)
