"""Field types that several request schemas share."""

from typing import Annotated

from pydantic import Field

from domain.values import MAX_ID_LENGTH, MAX_REASON_LENGTH

AMOUNT_PATTERN = r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"
CURRENCY_PATTERN = "^[A-Z]{3}$"
LAST_FOUR_PATTERN = "^[0-9]{4}$"

URL_PATTERN = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://([^\s/?#@\[\]\x00-\x1f\x7f]*@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[^\s/?#:@\[\]\x00-\x1f\x7f]+)(:[0-9]{1,5})?([/?#][^\s\x00-\x1f\x7f]*)?$"
)
UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

Text = Annotated[str, Field(min_length=1)]
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
ReasonText = Annotated[str, Field(min_length=1, max_length=MAX_REASON_LENGTH, pattern=r"\S")]
"""The reason of an operator action: not blank."""
Count = Annotated[int, Field(ge=0)]


LIST_FORM, OBJECT_FORM = "(list)", "(object)"

Uid = Annotated[str, Field(pattern=UUID_PATTERN, json_schema_extra={"format": "uuid"})]
