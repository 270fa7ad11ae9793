"""Paths that several modules use, and the vendor documents that define some of them."""

from enum import StrEnum
from uuid import UUID

from fastapi import Request
from starlette.types import Scope

BATCH_PATH = "/api/v1/integrations/offer-providers/custom/offers"
OFFERS_FILES_PATH = "/api/v1/partner/offers-files"
MERCHANTS_PATH = "/api/v1/partner/merchants"
RUNS_PATH = "/api/v1/runs"


def run_path(run_id: UUID) -> str:
    return f"{RUNS_PATH}/{run_id}"


class Vendor(StrEnum):
    """The vendor document that defines a path. Problem replies there also have the members of that document."""

    BATCH = "batch"
    MERCHANT = "merchant"


def vendor_of(request: Request) -> Vendor | None:
    if request.url.path == BATCH_PATH:
        return Vendor.BATCH
    return Vendor.MERCHANT if request.url.path.startswith(f"{MERCHANTS_PATH}/") else None


def is_ingestion(request: Request) -> bool:
    """Returns True for paths that receive offers. They do not count towards the requests per minute of a token."""
    return vendor_of(request) is not None or request.url.path == OFFERS_FILES_PATH


def route_of(scope: Scope) -> str:
    """Returns the path of the matching route as a template, such as /api/v1/offers/{offerUid}; it has no ids."""
    route = scope.get("route")
    # Static files are mounted: a mounted application has a root path instead of a route.
    return getattr(route, "path_format", None) or scope.get("root_path") or "-"
