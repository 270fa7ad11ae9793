"""Validates a merchant offer, the body of a PUT. Offers files share the functions for images and content."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from api.bounds.body import BodyBounds
from api.bounds.settings import setting_variable
from api.http.problems import validation_error
from api.intake.merchant_schemas import ASSETS, STATUS, STATUS_IGNORED, MerchantOffer, warnings
from api.parsing.body_start import MARK_SKIPPED
from api.parsing.item_list import schema_errors, too_many_values
from api.parsing.json_body import read_document, without_mark
from api.validation.field_errors import InvalidField, Place
from api.validation.known_members import known_members, misspelt_members
from domain.offers.content import SentContent, digest
from domain.offers.images import extract
from domain.single_requests.request import Put
from domain.values import OfferKey


def read_offer(body: bytes, key: OfferKey, bounds: BodyBounds) -> Put:
    """Validates the body of a PUT. Raises Problem if it is invalid, or if its ids differ from those of `key`.

    The method is the status of the offer, so `offerStatus` is not part of the content."""
    text, has_mark = without_mark(body)
    if message := too_many_values(text, bounds.max_values):
        raise validation_error([InvalidField((), message)])
    read = read_document(text, _KNOWN)
    sent = read.value
    unknown: list[str] = []
    broken = read.invalid_values or schema_errors(sent, MerchantOffer, unknown)
    hints = misspelt_members(sent, _KNOWN) if broken or unknown else []
    if broken:
        raise validation_error([*broken, *hints])
    ids = {"merchantId": key.merchant_id, "offerId": key.external_id}
    if other := [name for name, expected in ids.items() if sent[name] != expected]:
        raise validation_error([InvalidField((name,), "must equal the id in the path") for name in other])
    if too_large := too_large_images(sent, bounds.max_image_bytes):
        raise validation_error(too_large)
    remarks = (MARK_SKIPPED,) if has_mark else ()
    text = text.strip()
    if STATUS in sent:
        text = without_status(text)
        remarks = remarks if sent.pop(STATUS) is None else (*remarks, STATUS_IGNORED)
    return build_put(text, digest(sent), warnings=(*remarks, *warnings(sent), *map(str, hints)))


def without_status(text: bytes | Raw) -> bytes:
    """Returns the JSON text of an offer without its member `offerStatus`. All other members stay as sent."""
    members = _decode_members(text)
    del members[STATUS]
    return msgspec.json.encode(members)


_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


_KNOWN = known_members(MerchantOffer)


def too_large_images(sent: dict[str, Any], max_bytes: int) -> list[InvalidField]:
    """Returns an error for each inline image that exceeds the limit. The offer must be valid otherwise."""
    return [
        InvalidField(place, f"must have at most {max_bytes} characters ({setting_variable('max_image_bytes')})")
        for place, image in _images(sent)
        if len(image) > max_bytes
    ]


def build_put(text: bytes, content_digest: str, sent_digest: str | None = None, warnings: tuple[str, ...] = ()) -> Put:
    """Builds the action for a valid offer from its JSON text and its content digest. Large images are extracted."""
    short, images = extract(text)
    content = SentContent(Raw(short), content_digest, sent_digest, tuple(image.digest for image in images))
    return Put(content, images, warnings)


def _images(sent: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yields the inline images of a valid offer, with their places."""
    for asset in ASSETS:
        content = sent["assets"][asset]["value"]["large"].get("content")
        if content is not None:
            yield ("assets", asset, "value", "large", "content"), content
