"""What is an offers file? (The merchant document's daily dump; these models are its OpenAPI schema too.)"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from api.intake.merchant_schemas import MerchantOffer
from api.validation.field_types import Count, Identifier
from domain.runs.file_reconciliation import OfferStatus


class FileHeader(BaseModel):
    """`offerRecordCount` is the number of records; a date that is not that of the file's name is warned of."""

    model_config = ConfigDict(strict=True, extra="allow")

    fileDescription: str | None = None
    fileCreationDate: str | None = None
    offerRecordCount: Count


class FileEnvelope(BaseModel):
    """The part of an offers file that is judged as a whole, before its records."""

    model_config = ConfigDict(strict=True, extra="allow")

    header: FileHeader
    offers: list[Any]


def _known_status(value: Any) -> Any:
    if value not in list(OfferStatus):
        raise PydanticCustomError("offer_status", "must be NEW, UPDATED, UPSERT, NO-CHANGE or DELETED")
    return value


class FileRecord(MerchantOffer):
    """An offer as it shall be; `offerStatus` is not part of its content."""

    offerStatus: Annotated[Literal["NEW", "UPDATED", "UPSERT", "NO-CHANGE"], BeforeValidator(_known_status)]


class DeletedRecord(BaseModel):
    """An offer that shall be gone; what else the record has is of no consequence."""

    model_config = ConfigDict(strict=True, extra="allow")

    offerStatus: Literal["DELETED"]
    offerId: Identifier
    merchantId: Identifier


class OffersFileRequest(FileEnvelope):
    """All offers of a partner. The envelope is judged as a whole, the records one by one."""

    offers: list[FileRecord | DeletedRecord]
