"""An image that was changed, deleted or put in another's place by hand does not go unseen."""

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


def bring(ledger: OfferLedger, offer: str, image: str) -> None:
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
        images=tuple(found.digest for found in images),
    )
    record(ledger, key, event)


@pytest.fixture
def pictured(ledger: OfferLedger) -> OfferLedger:
    """A ledger with three offers and two images."""
    for offer, image in (("one", PNG), ("two", PNG), ("three", OTHER_PNG)):
        bring(ledger, offer, image)
    return ledger


def change_by_hand(ledger: OfferLedger, statement: str, image: str = FIRST) -> None:
    with ledger.recorder.write() as tx:
        tx.execute(statement.replace(":digest", f"x'{image}'"))


def test_images_that_are_as_they_were_are_in_order(pictured: OfferLedger) -> None:
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
def test_a_changed_image_is_named_with_what_it_should_be(pictured: OfferLedger, change: str) -> None:
    change_by_hand(pictured, f"UPDATE images SET {change} WHERE digest = :digest")
    (difference,) = verification.verify(pictured)
    assert difference.where == f"image {FIRST}"
    assert difference.expected == {"digest": FIRST}
    assert difference.found != difference.expected


def test_a_deleted_image_is_named_once(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "DELETE FROM images WHERE digest = :digest")
    assert verification.verify(pictured) == [Difference(f"image {FIRST}", None, {"digest": FIRST})]


def test_every_image_that_is_gone_is_named(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "DELETE FROM images")
    assert {difference.where for difference in verification.verify(pictured)} == {f"image {FIRST}", f"image {SECOND}"}


def test_images_in_each_others_places_are_both_named(pictured: OfferLedger) -> None:
    with pictured.recorder.write() as tx:
        literals = [bytes(row["literal"]) for row in tx.execute("SELECT literal FROM images ORDER BY image_id")]
        tx.executemany("UPDATE images SET literal = ? WHERE image_id = ?", zip(literals, (2, 1), strict=True))
    assert {difference.where for difference in verification.verify(pictured)} == {f"image {FIRST}", f"image {SECOND}"}


def test_an_image_under_a_changed_digest_is_found_twice_over(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "UPDATE images SET digest = x'00' WHERE digest = :digest")
    assert {difference.where for difference in verification.verify(pictured)} == {"image 00", f"image {FIRST}"}


def test_a_rebuild_leaves_images_as_they_are(pictured: OfferLedger) -> None:
    change_by_hand(pictured, "DELETE FROM images WHERE digest = :digest", SECOND)
    rebuild(pictured)
    assert [difference.where for difference in verification.verify(pictured)] == [f"image {SECOND}"]
