"""The ETag of an offer, and conditional reads (contract, section 6; RFC 9110, section 13.1.2)."""

import re
from datetime import timedelta

import httpx2
import pytest

from api.service import Service
from domain.values import utc_text
from tests.support.calls.merchants import delete, limit, merchant_offer, put, uid_of
from tests.support.calls.publishers import activate
from tests.support.harness import Caller, Clock

OFFER = f"/api/v1/offers/{uid_of()}"


@pytest.fixture(autouse=True)
def _offer(partner: Caller, service: Service, clock: Clock) -> None:
    limit(service)
    put(partner, merchant_offer(offerName="first"))
    put(partner)
    clock.move(seconds=1)


def etag_of(caller: Caller) -> str:
    return caller.get(OFFER).headers["ETag"]


def get_if_none_match(caller: Caller, *lines: str) -> httpx2.Response:
    return caller.http.get(OFFER, headers=[("If-None-Match", line) for line in lines])


def test_etag_is_strong_and_starts_with_the_version(partner: Caller) -> None:
    assert re.fullmatch(r'"2\.[0-9a-f]{16}"', etag_of(partner))


def test_activation_changes_the_etag(partner: Caller, publisher: Caller) -> None:
    before = etag_of(partner)
    assert activate(publisher, str(uid_of())).status_code == 201
    reply = get_if_none_match(partner, before)
    assert reply.status_code == 200
    assert (reply.json()["version"], reply.json()["honouredUntil"] is None) == (2, False)


def test_end_of_the_last_window_changes_the_etag(partner: Caller, publisher: Caller, clock: Clock) -> None:
    activate(publisher, str(uid_of()))
    before = etag_of(partner)
    clock.move(days=45, microseconds=-1)
    assert get_if_none_match(partner, before).status_code == 304
    clock.move(microseconds=1)
    reply = get_if_none_match(partner, before)
    assert reply.status_code == 200
    assert reply.json()["honouredUntil"] is None


def test_etags_are_equal_if_and_only_if_replies_are(
    partner: Caller, publisher: Caller, auditor: Caller, clock: Clock
) -> None:
    """Over changes of the offer, activations, the passage of time, and the same moments read as of later."""
    replies, times = [], []

    def read() -> None:
        replies.append(partner.get(OFFER))
        times.append(clock.now)
        clock.move(minutes=1)

    read()
    for customer in ("C-1", "C-2"):
        activate(publisher, str(uid_of()), customer)
        read()
        read()
    clock.move(days=45)
    read()
    put(partner, merchant_offer(offerName="other"))
    read()
    delete(partner)
    read()
    activate(publisher, str(uid_of()), "C-3", activatedAt=utc_text(times[-2] + timedelta(seconds=1)))
    read()
    put(partner, merchant_offer(offerName="other"))
    read()
    replies += [auditor.get(OFFER, asOf=utc_text(time)) for time in times]
    pairs = [(reply.json(), reply.headers["ETag"]) for reply in replies]
    assert {reply.status_code for reply in replies} == {200}
    assert len({etag for _, etag in pairs}) == 7
    for body, etag in pairs:
        assert [other == body for other, _ in pairs] == [other == etag for _, other in pairs]


def test_unchanged_offer_is_304(partner: Caller, subtests: pytest.Subtests) -> None:
    etag = etag_of(partner)
    lists = (etag, f'"1", {etag}', f"W/{etag}", f',"a,b" , ,{etag},', "*", f'{etag},W/"x"')
    for lines in (*((text,) for text in lists), ('"1"', etag), (f'"1", {etag}', '"2"')):
        with subtests.test(str(lines)):
            reply = get_if_none_match(partner, *lines)
            assert (reply.status_code, reply.content, reply.headers["ETag"]) == (304, b"", etag)
            assert "Ledger-Position" in reply.headers


def test_if_none_match_with_other_or_invalid_tags_is_200(partner: Caller, subtests: pytest.Subtests) -> None:
    etag = etag_of(partner)
    invalid = (etag.strip('"'), f"w/{etag}", f'{etag} "x"', f'"1{etag}', f"*, {etag}", "", ",")
    for line in ('"2"', '"1.x"', '""', f'"{etag[1:-1]},"', f'"a,{etag[1:-1]}"', *invalid):
        with subtests.test(line):
            assert get_if_none_match(partner, line).status_code == 200


def test_head_has_the_etag_and_the_condition_of_get(partner: Caller) -> None:
    etag = etag_of(partner)
    for line, status in (('"2"', 200), (etag, 304), ("*", 304)):
        reply = partner.http.head(OFFER, headers={"If-None-Match": line})
        assert (reply.status_code, reply.content, reply.headers["ETag"]) == (status, b"", etag)
