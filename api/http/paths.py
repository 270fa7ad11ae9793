"""Paths that several modules name, and which of them are a vendor's."""

from enum import StrEnum
from uuid import UUID

from fastapi import Request

BATCH_PATH = "/api/v1/integrations/offer-providers/custom/offers"
OFFERS_FILES_PATH = "/api/v1/partner/offers-files"
MERCHANTS_PATH = "/api/v1/partner/merchants"
RUNS_PATH = "/api/v1/runs"


def run_path(run_id: UUID) -> str:
    return f"{RUNS_PATH}/{run_id}"


class Vendor(StrEnum):
    """Whose document a path is from; such replies have its members too."""

    BATCH = "batch"
    MERCHANT = "merchant"


def vendor_of(request: Request) -> Vendor | None:
    if request.url.path == BATCH_PATH:
        return Vendor.BATCH
    return Vendor.MERCHANT if request.url.path.startswith(f"{MERCHANTS_PATH}/") else None


def is_ingestion(request: Request) -> bool:
    """Whether the path is a door for offers: what comes by it is not counted per token."""
    return vendor_of(request) is not None or request.url.path == OFFERS_FILES_PATH
