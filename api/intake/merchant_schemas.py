"""Models of an offer on the merchant channel, the body of a PUT. OpenAPI shows them too."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import unquote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from api.validation.field_types import URL_PATTERN, Identifier, Text
from api.validation.known_members import NotedMembers

EXACTLY_ONE = "must have exactly one of url and content"
NOT_A_URL = "is not an absolute http or https URL"
NOT_BASE64 = "is neither base64 nor a base64 data URL"

ASSETS = ("logo", "largeRectangle")

STATUS = "offerStatus"
PutStatus = Literal["NEW", "UPDATED", "UPSERT", "NO-CHANGE"]
DELETED_IN_PUT = "must not be DELETED; to delete an offer, use the method DELETE"
NOT_A_PUT_STATUS = "must be NEW, UPDATED, UPSERT or NO-CHANGE"
STATUS_IGNORED = f"{STATUS}: ignored, a PUT always creates or replaces the offer"


class _StrictModel(BaseModel):
    """Accepts exact JSON types only. Unknown members are kept as part of the content."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: NotedMembers


def _with_members(properties: dict[str, JsonValue], *required: str) -> dict[str, JsonValue]:
    return {"required": list(required), "properties": properties, "additionalProperties": True}


class LargeImage(_StrictModel):
    """The URL of an image, or the image itself: exactly one of the two."""

    # Not `oneOf`: generators of clients make two models of it.
    model_config = ConfigDict(
        json_schema_extra={
            "if": _with_members({"url": {"type": "string"}}, "url"),
            "then": _with_members({"content": {"type": "null"}}),
            "else": _with_members({"content": {"type": "string"}}, "content"),
        }
    )

    url: Annotated[
        Text | None, Field(description="An absolute http or https URL, kept as sent. Any other text gives a warning.")
    ] = None
    content: Annotated[
        Text | None,
        Field(description="A base64 data URL, or plain base64, kept as sent. Any other text gives a warning."),
    ] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.url is None) is (self.content is None):
            raise PydanticCustomError("exactly_one_source", EXACTLY_ONE)
        return self


class AssetValue(_StrictModel):
    """An image in its sizes."""

    large: LargeImage


class Asset(_StrictModel):
    """One image of an offer."""

    type: Literal["IMAGE"]
    value: AssetValue


class Assets(_StrictModel):
    """The images of an offer."""

    logo: Asset
    largeRectangle: Asset


def _put_status(value: Any) -> Any:
    if value == "DELETED":
        raise PydanticCustomError("put_deleted", DELETED_IN_PUT)
    if value is not None and value not in get_args(PutStatus):
        raise PydanticCustomError("put_status", NOT_A_PUT_STATUS)
    return value


class MerchantOffer(_StrictModel):
    """An offer on the merchant channel. Its two ids must equal those in the path. `offerStatus` is not part of its content."""

    offerId: Identifier
    merchantId: Identifier
    offerName: Text
    assets: Assets
    offerStatus: Annotated[
        PutStatus | None,
        BeforeValidator(_put_status),
        Field(description="Ignored, with a warning: the method decides. To delete an offer, use DELETE."),
    ] = None


# Warnings: accepted content that is probably a mistake


def warnings(offer: dict[str, Any]) -> tuple[str, ...]:
    """Returns a message for each URL or image of a valid offer that is probably a mistake."""
    return tuple(_warnings(offer))


def _warnings(offer: dict[str, Any]) -> Iterator[str]:
    for name in ASSETS:
        place, large = f"assets.{name}.value.large", offer["assets"][name]["value"]["large"]
        if (url := large.get("url")) is not None and not _is_url(url):
            yield f"{place}.url: {NOT_A_URL}"
        if (content := large.get("content")) is not None and not _is_base64(content):
            yield f"{place}.content: {NOT_BASE64}"


_is_url = re.compile(URL_PATTERN).fullmatch


def _is_base64(content: str) -> bool:
    """Checks the form of the text only; decoding it would take longer."""
    if header := _data_url_header(content):
        content = content[header.end() :]
        # A data URL may escape every character as %XX.
        content = unquote(content) if "%" in content else content
    return len(content) % 4 == 0 and _base64(content) is not None


# RFC 2397: data:[type/subtype][;attribute=value]*;base64,
_data_url_header = re.compile(
    r"""
    data:
    ([^\s/;,="]++ / [^\s/;,="]++)?
    (;[^\s/;,="]++ = [^\s;,"]*+)*
    ;base64,
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
).match
# RFC 4648, section 4, with padding.
_base64 = re.compile(r"[A-Za-z0-9+/]*+={0,2}").fullmatch
