"""The offers of a ledger with a long history: their groups, their states, and random next events."""

import hashlib
from array import array
from random import Random

from msgspec import Raw

from benchmarks.fill.offers import WORDS
from domain.events import (
    OfferCreated,
    OfferDeleted,
    OfferEvent,
    OfferPaused,
    OfferRestored,
    OfferResumed,
    OfferUpdated,
    PauseCause,
)
from domain.values import Channel, OfferKey

PARTNERS = [f"provider-{number}" for number in range(10)]
GROUPS = [(partner, channel) for channel in Channel for partner in PARTNERS]
"""The groups of offers. Offer `n` is in group `n % len(GROUPS)`."""
PAUSED, DELETED = 0.06, 0.10
"""The limits for a random number that selects the change of an active offer: 6 % pause it, 4 % delete it, 90 % update
it. The next change of a paused offer resumes it, and of a deleted offer restores it."""

_NOT_CREATED, _ACTIVE, _PAUSED, _DELETED = range(4)


def key(number: int) -> OfferKey:
    partner, channel = GROUPS[number % len(GROUPS)]
    merchant_id = f"m-{number % 997}" if channel is Channel.MERCHANT else None
    return OfferKey(partner, channel, merchant_id, f"o-{number:07}")


class Offers:
    """All offers, with their versions and states."""

    def __init__(self, count: int) -> None:
        self._random = Random(count)
        self._versions = array("H", bytes(2 * count))
        self._states = bytearray(count)
        self._texts = [" ".join(self._random.choices(WORDS, k=14)) for _ in range(1_000)]
        self._created = [0] * len(GROUPS)
        self._most = count // len(GROUPS)

    @property
    def created(self) -> int:
        return sum(self._created)

    def pick_group(self, *, with_room: bool) -> int:
        """Returns a random group that has offers, or, with `with_room`, one whose offers are not all created."""
        return self._random.choice([g for g, n in enumerate(self._created) if (n < self._most if with_room else n)])

    def create(self, group: int, count: int) -> range:
        """Returns the numbers of the next offers of a group: `count`, or fewer if the group has no more."""
        first = self._created[group]
        self._created[group] = min(first + count, self._most)
        return range(group + first * len(GROUPS), group + self._created[group] * len(GROUPS), len(GROUPS))

    def sample(self, group: int, count: int) -> list[int]:
        """Returns the numbers of random existing offers, in the order of their creation."""
        existing = range(group, group + self._created[group] * len(GROUPS), len(GROUPS))
        return sorted(self._random.sample(existing, min(count, len(existing))))

    def change(self, number: int) -> tuple[int, OfferEvent]:
        """Returns the previous version of an offer, and its next event."""
        version = self._versions[number]
        self._versions[number] = version + 1
        return version, self._next(number, version)

    def _next(self, number: int, version: int) -> OfferEvent:
        state = self._states[number]
        self._states[number] = _ACTIVE
        if state == _NOT_CREATED:
            return self._offer_created(number)
        if state == _PAUSED:
            return OfferResumed()
        if state == _DELETED:
            content, digest, sent = self._content(number, version)
            return OfferRestored(content=content, content_digest=digest, sent_digest=sent)
        chance = self._random.random()
        if chance < PAUSED:
            self._states[number] = _PAUSED
            return OfferPaused(cause=PauseCause.ABSENT_FROM_SYNCHRONIZE)
        if chance < DELETED:
            self._states[number] = _DELETED
            return OfferDeleted()
        return self._updated(number, version)

    def _offer_created(self, number: int) -> OfferCreated:
        partner, channel, merchant_id, external_id = key(number)
        content, digest, sent = self._content(number, 0)
        return OfferCreated(
            partner=partner,
            channel=channel,
            merchant_id=merchant_id,
            external_id=external_id,
            content=content,
            content_digest=digest,
            sent_digest=sent,
        )

    def _updated(self, number: int, version: int) -> OfferUpdated:
        content, digest, sent = self._content(number, version)
        return OfferUpdated(content=content, content_digest=digest, sent_digest=sent)

    def _content(self, number: int, version: int) -> tuple[Raw, str, str]:
        """Returns the content (about 450 bytes), its digest, and the digest of the item as sent."""
        headline, details = (self._texts[(number * step + version) % len(self._texts)] for step in (7, 13))
        text = _CONTENT % (number, number, 50 + version % 50, headline, details, number, number % 1_000)
        content = text.encode()
        sent = hashlib.sha256(b'{"externalId":"o-%07d","offerData":[%b]}' % (number, content))
        return Raw(content), hashlib.sha256(content).hexdigest(), sent.hexdigest()


_CONTENT = (
    '{"creativeFileExternalUrl":"https://cdn.example/%d/banner.png",'
    '"creatives":[{"order":0,"url":"https://cdn.example/%d/0.png"}],"dailyCap":%d,"headline":"%s","keyPoints":"%s",'
    '"name":"Offer %d","offerLink":"https://track.example/c/%d?sub1={gk_click_id}","trackingSystem":"Impact"}'
)
