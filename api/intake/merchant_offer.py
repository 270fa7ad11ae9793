"""What does a partner say of a merchant offer? The same in the body of a PUT and in a record of an offers file."""

from collections.abc import Iterator
from typing import Any

from msgspec import Raw

from api.http.problems import validation_error
from api.intake.merchant_schemas import ASSETS, MerchantOffer, warnings
from api.parsing.item_list import schema_errors
from api.parsing.json_body import read_document
from api.validation.field_errors import InvalidField
from domain.offers.content import SentContent, digest
from domain.offers.images import extract
from domain.single_requests.request import Put
from domain.values import OfferKey


def read_offer(body: bytes, key: OfferKey, max_image_bytes: int) -> Put:
    """Raises Problem if the body is not in order, or says that it is about another offer than `key`."""
    read = read_document(body)
    sent = read.value
    if broken := read.invalid_values or schema_errors(sent, MerchantOffer):
        raise validation_error(broken)
    ids = {"merchantId": key.merchant_id, "offerId": key.external_id}
    if other := [name for name, told in ids.items() if sent[name] != told]:
        raise validation_error([InvalidField((name,), "must be equal to the id in the path") for name in other])
    if too_large := too_large_images(sent, max_image_bytes):
        raise validation_error(too_large)
    return put_of(body.strip(), digest(sent), warnings=warnings(sent))


def too_large_images(sent: dict[str, Any], max_bytes: int) -> list[InvalidField]:
    """For an offer that is in order otherwise."""
    return [
        InvalidField(place, f"must have at most {max_bytes} characters")
        for place, image in _images(sent)
        if len(image) > max_bytes
    ]


def put_of(text: bytes, content_digest: str, sent_digest: str | None = None, warnings: tuple[str, ...] = ()) -> Put:
    """For an offer that is in order, by its JSON text and the digest of what that says."""
    short, images = extract(text)
    content = SentContent(Raw(short), content_digest, sent_digest, tuple(image.digest for image in images))
    return Put(content, images, warnings)


def _images(sent: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The inline images of an offer that is in order, with their places."""
    for asset in ASSETS:
        content = sent["assets"][asset]["value"]["large"].get("content")
        if content is not None:
            yield ("assets", asset, "value", "large", "content"), content
