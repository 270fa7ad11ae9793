"""Sends a batch, a PUT and an activation with the generated client, and prints the typed replies.

A test runs it in the environment of the client, with the folder of the generated package on the path.
"""

import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from offer_client import AuthenticatedClient
from offer_client.api.activations import activate_offer
from offer_client.api.batch import send_batch
from offer_client.api.merchants import put_offer
from offer_client.api.offers import get_offer
from offer_client.models import (
    ActivationReply,
    ActivationRequest,
    BatchProblem,
    BatchReply,
    BatchRequest,
    MerchantOffer,
    MerchantProblem,
    OfferReply,
    SingleReply,
)


def main(url: str, partner: str, publisher: str, folder: str) -> None:
    samples = Path(folder)

    def client(token: str) -> AuthenticatedClient:
        return AuthenticatedClient(url, token, prefix="ApiToken", timeout=60)

    def sample(name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((samples / name).read_text())
        return document

    batch = BatchRequest.from_dict(sample("batch-insert.json"))
    sent = send_batch.sync(client=client(partner), body=batch)
    assert isinstance(sent, BatchReply)
    assert isinstance(sent.data.run_id, UUID)
    refused = send_batch.sync(client=client(publisher), body=batch)
    assert isinstance(refused, BatchProblem)

    offer = MerchantOffer.from_dict(sample("merchant-offer.json"))
    ids = offer.merchant_id, offer.offer_id
    accepted = put_offer.sync_detailed(*ids, client=client(partner), body=offer)
    assert isinstance(accepted.parsed, SingleReply)
    mismatch = put_offer.sync(offer.merchant_id, "OTHER", client=client(partner), body=offer)
    assert isinstance(mismatch, MerchantProblem)

    request = ActivationRequest.from_dict(sample("activation.json"))
    activation = activate_offer.sync(client=client(publisher), body=request)
    assert isinstance(activation, ActivationReply)
    stored = get_offer.sync(str(activation.offer_uid), client=client(partner))
    assert isinstance(stored, OfferReply)
    print(
        json.dumps(
            {
                "created": [sent.data.counts.created, [created.external_id for created in sent.data.created_offers]],
                "refused": [refused.type_, refused.is_successful],
                "accepted": [accepted.status_code, accepted.parsed.message],
                "mismatch": [mismatch.type_, mismatch.status, mismatch.errors[0].pointer],
                "activation": [activation.customer_id, activation.late, activation.redemption_window_days],
                "status": stored.status,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
