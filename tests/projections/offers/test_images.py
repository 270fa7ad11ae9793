"""Verification finds images that were changed, deleted or exchanged by hand."""

import hashlib

import pytest
from msgspec import Raw

from domain.events import OfferCreated
from domain.ledgers.ledger import OfferLedger
from domain.offers.content import digest
from domain.offers.images import extract
from domain.store.records.images import insert_images
from domain.values import Channel, OfferKey
from projections.maintenance import verification
from projections.maintenance.rebuild import rebuild
from projections.maintenance.table_diff import Difference
from tests.support.calls.merchants import OTHER_PNG, PNG, merchant_offer
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER, body
from tests.support.harness import record

pytestmark = only_sqlite

FIRST, SECOND = (hashlib.sha256(f'"{image}"'.encode()).hexdigest() for image in (PNG, OTHER_PNG))


def record_offer(ledger: OfferLedger, offer: str, image: str) -> None:
    key, content = OfferKey(PARTNER, Channel.MERCHANT, "m", offer), merchant_offer("m", offer, image)
    text, images = extract(body(content))
    with ledger.recorder.write() as tx:
        insert_images(tx, images)
    event = OfferCreated(
        partner=key.partner,
        channel=key.channel,
        merchant_id=key.merchant_id,
        external_id=key.external_id,
        content=Raw(text),
        content_digest=digest(content),
        images=tuple(image.digest for image in images),
    )
    record(ledger, key, event)


@pytest.fixture
def pictured(ledger: OfferLedger) -> OfferLedger:
    """A ledger with three offers and two images."""
    for offer, image in (("one", PNG), ("two", PNG), ("three", OTHER_PNG)):
        record_offer(ledger, offer, image)
    return ledger


def change_by_hand(ledger: OfferLedger, statement: str, image: str = FIRST) -> None:
    with ledger.recorder.write() as tx:
        tx.execute(statement.replace(":digest", f"x'{image}'"))


def test_unchanged_images_are_valid(pictured: OfferLedger) -> None:
    assert verification.verify(pictured) == []


@pytest.mark.parametrize(
    "change",
    [
        "literal = x''",
        "literal = CAST(literal || x'20' AS BLOB)",
        "literal = CAST(replace(CAST(literal AS TEXT), 'iVBOR', 'jVBOR') AS BLOB)",
        "literal = replace(CAST(literal AS TEXT), 'iVBOR', 'jVBOR')",
        "literal = (SELECT literal FROM images WHERE digest <> :digest)",
    ],
)
def test_changed_image_is_reported_with_its_expected_digest(pictured: OfferLedger, change: str) -> None:
    change_by_hand(pictured, f"UPDATE images SET {change} WHERE digest = :digest")
    (difference,) = verification.verify(pictured)
    assert difference.where == f"image {FIRST}"
    assert difference.expected == {"digest": FIRST}
    assert difference.found != difference.expected


def test_deleted_image_is_reported_once(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "DELETE FROM images WHERE digest = :digest")
    assert verification.verify(pictured) == [Difference(f"image {FIRST}", None, {"digest": FIRST})]


def test_every_missing_image_is_reported(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "DELETE FROM images")
    assert {difference.where for difference in verification.verify(pictured)} == {f"image {FIRST}", f"image {SECOND}"}


def test_exchanged_images_are_both_reported(pictured: OfferLedger) -> None:
    with pictured.recorder.write() as tx:
        literals = [bytes(row["literal"]) for row in tx.execute("SELECT literal FROM images ORDER BY image_id")]
        tx.executemany("UPDATE images SET literal = ? WHERE image_id = ?", zip(literals, (2, 1), strict=True))
    assert {difference.where for difference in verification.verify(pictured)} == {f"image {FIRST}", f"image {SECOND}"}


def test_image_with_a_changed_digest_is_reported_twice(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "UPDATE images SET digest = x'00' WHERE digest = :digest")
    assert {difference.where for difference in verification.verify(pictured)} == {"image 00", f"image {FIRST}"}


def test_rebuild_does_not_change_images(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "DELETE FROM images WHERE digest = :digest", SECOND)
    rebuild(pictured)
    assert [difference.where for difference in verification.verify(pictured)] == [f"image {SECOND}"]
