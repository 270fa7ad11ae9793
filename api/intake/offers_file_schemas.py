"""Models of an offers file, the merchant document's daily dump. OpenAPI shows them too."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from api.intake.merchant_schemas import MerchantOffer
from api.validation.field_types import Count, Identifier
from domain.runs.file_reconciliation import OfferStatus


class FileHeader(BaseModel):
    """The header of the file. `offerRecordCount` is the number of records.

    A `fileCreationDate` that differs from the date in the file name gives a message."""

    model_config = ConfigDict(strict=True, extra="allow")

    fileDescription: str | None = None
    fileCreationDate: str | None = None
    offerRecordCount: Count


class FileEnvelope(BaseModel):
    """The members of an offers file other than its records. If one is invalid, the whole file is refused."""

    model_config = ConfigDict(strict=True, extra="allow")

    header: FileHeader
    offers: list[Any]


def _known_status(value: Any) -> Any:
    if value not in list(OfferStatus):
        raise PydanticCustomError("offer_status", "must be NEW, UPDATED, UPSERT, NO-CHANGE or DELETED")
    return value


class FileRecord(MerchantOffer):
    """A record that creates or updates an offer. `offerStatus` is not part of its content."""

    offerStatus: Annotated[Literal["NEW", "UPDATED", "UPSERT", "NO-CHANGE"], BeforeValidator(_known_status)]


class DeletedRecord(BaseModel):
    """A record that deletes an offer. Other members are ignored."""

    model_config = ConfigDict(strict=True, extra="allow")

    offerStatus: Literal["DELETED"]
    offerId: Identifier
    merchantId: Identifier


class OffersFileRequest(FileEnvelope):
    """All offers of a partner. An invalid envelope refuses the file; an invalid record fails only that record."""

    offers: list[FileRecord | DeletedRecord]
