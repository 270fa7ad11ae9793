"""Prepares a ledger for activations: offers of several partners, and tokens for a publisher, an auditor and a
partner."""

import hashlib
import json
from uuid import UUID

from msgspec import Raw

from api.dependencies.authentication import digest_secret
from api.service import Service
from benchmarks.fill.offers import offers
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.events import Event, OfferCreated
from domain.store.commit import CommitContext
from domain.values import Channel, OfferKey, Origin, Role, Source

OFFERS = 1_000
PARTNERS = [f"partner-{number}" for number in range(5)]
PUBLISHER, AUDITOR, OF_PARTNER = "the publisher's", "the auditor's", "the partner's"
"""Secrets of the tokens. `OF_PARTNER` is the secret of the first partner."""
BENCHMARK = Origin("benchmark", Source.CLI)


def key(number: int) -> OfferKey:
    return OfferKey(PARTNERS[number % len(PARTNERS)], Channel.CUSTOM, None, f"o-{number:07}")


def offer_uid(number: int) -> UUID:
    return key(number).offer_uid


def prepare(service: Service, count: int = OFFERS) -> None:
    """Records partners, offers, and tokens without limits."""
    for partner in PARTNERS:
        service.ledger.handle(SetPartner(partner), BENCHMARK)
    for secret, role, token_partner in (
        (PUBLISHER, Role.PUBLISHER, None),
        (AUDITOR, Role.AUDITOR, None),
        (OF_PARTNER, Role.PARTNER, PARTNERS[0]),
    ):
        service.ledger.handle(CreateToken(role, role, token_partner, digest_secret(secret), 0, None), BENCHMARK)
    for partner in PARTNERS:
        own = [number for number in range(count) if key(number).partner == partner]
        with service.ledger.recorder.write() as tx:
            streams = ((offer_uid(number), 0, [_created(number)]) for number in own)
            service.ledger.commit(tx, CommitContext(BENCHMARK, partner), streams)


def _created(number: int) -> Event:
    partner, channel, merchant_id, external_id = key(number)
    content = json.dumps(CONTENTS[number % len(CONTENTS)], separators=(",", ":")).encode()
    return OfferCreated(
        partner=partner,
        channel=channel,
        merchant_id=merchant_id,
        external_id=external_id,
        content=Raw(content),
        content_digest=hashlib.sha256(content).hexdigest(),
    )


CONTENTS = [offer["offerData"][0] for offer in offers(100)]
