"""The problems of bodies that are too slow, or too many at the same time."""

from http import HTTPStatus

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.exceeded import exceeded_bound
from api.bounds.settings import setting_variable
from api.http.problems import Problem

RETRY_SECONDS = 5
_CLOSE = {"Connection": "close"}
_RETRY = {"Retry-After": str(RETRY_SECONDS), **_CLOSE}


def body_pauses(seconds: float) -> Problem:
    detail = f"No piece of the body arrived for {seconds:g} seconds ({setting_variable('max_body_pause_seconds')})."
    return Problem(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail, headers=_CLOSE.copy())


def body_takes_long(seconds: float) -> Problem:
    detail = f"The body took more than {seconds:g} seconds ({setting_variable('max_body_seconds')}), plus one second for each 64 KiB."
    return Problem(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail, headers=_CLOSE.copy())


def server_stops() -> Problem:
    detail = "The server stops, and the request is not finished. Nothing was changed. Send it again."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "server-stopping", detail, headers=_RETRY.copy())


def too_much_memory(allowance: Allowance, error: AllowanceExceeded) -> Problem:
    return _too_much(allowance, error, "max_unfinished_body_bytes_per_token", "bytes of unfinished bodies in memory")


def too_much_on_disk(allowance: Allowance, error: AllowanceExceeded) -> Problem:
    return _too_much(allowance, error, "max_waiting_bytes_per_partner", "bytes of unfinished bodies on disk")


def too_many_files(allowance: Allowance, error: AllowanceExceeded) -> Problem:
    return _too_much(allowance, error, "max_waiting_files_per_partner", "unfinished bodies on disk")


def too_many_uploads(allowance: Allowance, error: AllowanceExceeded) -> Problem:
    return _too_much(allowance, error, "max_uploads_per_partner", "batches and files over 1 MiB at the same time")


def _too_much(allowance: Allowance, error: AllowanceExceeded, field: str, what: str) -> Problem:
    detail = exceeded_bound(allowance, error, field, what)
    if error.is_total:
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "server-busy", detail, headers=_RETRY.copy())
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-uploads", detail, headers=_RETRY.copy())
