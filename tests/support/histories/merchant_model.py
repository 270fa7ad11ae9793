"""Simple model of the expected effects of one partner's single requests and offers files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain.runs.run import OUTCOMES, Outcome
from domain.values import MissingFromFile, OfferKey, Status
from tests.support.histories.offers_files import document, record
from tests.support.histories.single_requests import OfferState, SingleRequestModel

ModelRequest = tuple[OfferKey, str | None]
"""A single request: a name puts the offer, None deletes it."""

Ids = tuple[str | None, str | None]


class ItemResult(NamedTuple):
    """Outcome of a record, or of an offer that is missing from the file."""

    kind: str
    ids: Ids
    warned: bool


class FileRecord(NamedTuple):
    """A record of an offers file. `flaw` names an invalid member, or is `record` if the whole record is invalid."""

    key: OfferKey
    offer_status: str
    name: str
    flaw: str | None = None

    @property
    def ids(self) -> Ids:
        """Merchant and offer id; None if the flaw makes it unreadable."""
        merchant, offer = self.key.merchant_id, self.key.external_id
        ids_by_flaw = {"record": (None, None), "merchantId": (None, offer), "offerId": (merchant, None)}
        return ids_by_flaw.get(self.flaw or "", (merchant, offer))

    def document(self) -> Any:
        sent = record(self.key, self.offer_status, self.name)
        if self.flaw == "record":
            return [sent]
        return {**sent, self.flaw: 7} if self.flaw else sent


class File(NamedTuple):
    """An offers file of a day of the month."""

    day: int
    records: tuple[FileRecord, ...]

    def sent(self) -> bytes:
        """Returns the file's bytes. The spelling differs between days."""
        return document([file_record.document() for file_record in self.records], indent=self.day % 2 or None)


class MerchantModel(SingleRequestModel):
    """A partner's offers on the merchant channel, and the files that have been processed."""

    def __init__(self) -> None:
        super().__init__()
        self.missing = MissingFromFile.REPORT
        self.results: dict[tuple[int, bytes], list[ItemResult]] = {}
        """Results by day and bytes: of the newest file, and of the files without a valid record after it."""
        self.newest_day = 0

    def earlier_results(self, file: File) -> list[ItemResult] | None:
        """Returns the results of the same file if no other file has taken effect since."""
        return self.results.get((file.day, file.sent()))

    def is_too_old(self, file: File) -> bool:
        return self.earlier_results(file) is None and self.newest_day > file.day

    def process(self, file: File, before: Mapping[OfferKey, OfferState]) -> list[ItemResult]:
        """Processes a file. `before` are the offers as of the start of processing."""
        copies = Counter(file_record.ids for file_record in file.records)
        results = [self._process_record(file_record, copies[file_record.ids]) for file_record in file.records]
        can_delete = all(None not in ids for ids in copies) and any(result.kind != "failed" for result in results)
        for key, known in list(self.offers.items()):
            ids = key.merchant_id, key.external_id
            if known.status is Status.ACTIVE and ids not in copies:
                if self.missing is MissingFromFile.DELETE and can_delete and before.get(key) == known:
                    self.change(key, None)
                    results.append(ItemResult("deleted", ids, warned=True))
                else:
                    results.append(ItemResult("discrepancy", ids, warned=True))
        if any(result.kind != "failed" for result in results[: len(file.records)]):
            self.newest_day = max(self.newest_day, file.day)
            self.results.clear()
        results.sort(key=str)
        self.results[file.day, file.sent()] = results
        return results

    def _process_record(self, file_record: FileRecord, copies: int) -> ItemResult:
        if file_record.flaw or copies > 1:
            return ItemResult("failed", file_record.ids, warned=True)
        known = self.offers.get(file_record.key)
        is_active = known is not None and known.status is Status.ACTIVE
        differs = known is not None and known.name != file_record.name
        warned = {
            "NEW": known is not None,
            "UPDATED": known is None,
            "UPSERT": False,
            "NO-CHANGE": not is_active or differs,
            "DELETED": known is None,
        }[file_record.offer_status]
        if file_record.offer_status == "NO-CHANGE" and is_active and differs:
            return ItemResult("unchanged", file_record.ids, warned)
        outcome, _ = self.change(file_record.key, None if file_record.offer_status == "DELETED" else file_record.name)
        return ItemResult(str(outcome), file_record.ids, warned)


def results_of(outcome: Outcome) -> list[ItemResult]:
    """Returns the stored outcome of a file in the model's form."""
    results = [
        ItemResult(kind, (item.merchant_id, item.external_id), bool(item.messages))
        for kind in OUTCOMES
        for item in getattr(outcome, kind)
    ]
    return sorted(results, key=str)


def changes(results: Sequence[ItemResult]) -> int:
    """Returns the number of changed offers; each change is one event."""
    return sum(result.kind in {"created", "updated", "restored", "deleted"} for result in results)
