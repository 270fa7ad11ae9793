"""Requests and replies of the rivals: batches and single offers, at the paths of the service and in its form.

FastAPI validates them with the models of the service, so they are checked as strictly."""

from typing import Annotated, Literal

from fastapi import Header
from pydantic import BaseModel

from api.intake.batch_schemas import BatchItem
from api.intake.merchant_schemas import MerchantOffer

OFFER_PATH = "/api/v1/partner/merchants/{merchant_id}/offers/{external_id}"
Partner = Annotated[str, Header(alias="Authorization")]
"""The partner that sends a request. Rivals check no tokens, so any value is accepted."""

__all__ = ["OFFER_PATH", "Batch", "BatchItem", "MerchantOffer", "Partner", "Reply", "content_of", "reply"]


class Batch(BaseModel):
    concurrencyRequestId: str
    operation: Literal["Insert", "Synchronize"]
    offers: list[BatchItem]


class Counts(BaseModel):
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    paused: int = 0


class Data(BaseModel):
    counts: Counts


class Reply(BaseModel):
    data: Data


def reply(**counts: int) -> Reply:
    return Reply(data=Data(counts=Counts(**counts)))


def content_of(item: BatchItem) -> str:
    (data,) = item.offerData if isinstance(item.offerData, list) else (item.offerData,)
    return data.model_dump_json()
