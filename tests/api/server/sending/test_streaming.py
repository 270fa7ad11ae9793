"""Long replies have places: some for each token, some for the server. A reply gives its place back in every case."""

import pytest

from api.settings import Settings
from domain.values import Role
from tests.support.calls.publishers import problem
from tests.support.harness import Call, Caller, MakeToken
from tests.support.waiting import wait_until

STREAM = "/api/v1/audit/stream"
EVENTS = "/api/v1/audit/events"
LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A token has one place of each kind, and the server two."""
    bounds = {"max_long_replies_per_token": 1, "max_long_replies": 2, "max_followers_per_token": 1, "max_followers": 2}
    return settings.model_copy(update=bounds)


@pytest.fixture
def auditors(call: Call, token: MakeToken) -> list[Caller]:
    return [call(token(Role.AUDITOR, name=f"auditor-{number}")) for number in range(3)]


def _status(caller: Caller) -> int:
    with caller.http.stream("GET", STREAM) as reply:
        return reply.status_code


def test_token_gets_its_own_places_and_the_server_its_total(auditors: list[Caller]) -> None:
    first, second, third = auditors
    with first.http.stream("GET", STREAM) as followed:
        assert followed.status_code == 200
        refused = first.get(STREAM)
        assert problem(refused)[:2] == (503, "too-many-streams")
        assert "OFFER_LEDGER_MAX_FOLLOWERS_PER_TOKEN" in refused.json()["detail"]
        assert refused.headers["Retry-After"]
        with second.http.stream("GET", STREAM) as other:
            assert other.status_code == 200
            assert "(OFFER_LEDGER_MAX_FOLLOWERS)" in third.get(STREAM).json()["detail"]


def test_disconnected_follower_gives_its_place_back(auditors: list[Caller]) -> None:
    for _ in range(3):
        # The server has to notice that the previous client disconnected.
        wait_until(lambda: _status(auditors[0]) == 200)


def test_refused_follower_gives_its_place_back(auditors: list[Caller]) -> None:
    for _ in range(3):
        assert auditors[0].get(STREAM, afterPosition=1_000_000).status_code == 422
        assert auditors[0].http.head(STREAM).status_code == 200


def test_sent_reply_gives_its_place_back(auditors: list[Caller]) -> None:
    for _ in range(3):
        assert auditors[0].get(EVENTS, LINES).status_code == 200
        assert auditors[0].http.head(EVENTS, headers=LINES).status_code == 200


def test_long_replies_have_places_of_their_own(auditors: list[Caller]) -> None:
    with auditors[0].http.stream("GET", STREAM) as followed:
        assert followed.status_code == 200
        assert auditors[0].get(EVENTS, LINES).status_code == 200


def test_lack_of_a_place_is_logged_without_a_traceback(
    auditors: list[Caller], caplog: pytest.LogCaptureFixture
) -> None:
    with auditors[0].http.stream("GET", STREAM) as followed:
        assert followed.status_code == 200
        assert auditors[0].get(STREAM).status_code == 503
    (record,) = [record for record in caplog.records if "At most 1 followers" in record.getMessage()]
    assert record.exc_info is None
