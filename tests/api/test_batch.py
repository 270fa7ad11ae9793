"""The batch channel over HTTP: the reply, and the refusals of the envelope."""

from uuid import uuid4

from tests.examples import batch, body, item
from tests.harness import Caller


def test_a_first_batch_is_answered_with_the_vendors_envelope(partner: Caller) -> None:
    request_id = str(uuid4())
    reply = partner.send(body(batch("Insert", [item()], request_id)))
    assert reply.status_code == 200
    document = reply.json()
    assert set(document) == {"responseId", "isSuccessful", "responseTitle", "responseType", "messages", "data"}
    assert (document["isSuccessful"], document["responseType"], document["messages"]) == (True, "Success", [])
    data = document["data"]
    assert data["concurrencyRequestId"] == request_id
    assert data["createdOffers"] == [{"externalId": "TP-1", "messages": []}]
    assert data["counts"] == {"created": 1, "updated": 0, "unchanged": 0, "paused": 0, "failed": 0}
