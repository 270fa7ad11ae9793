"""The bounds of bodies with offers: a batch, an offers file, a PUT."""

import sys

from msgspec import Struct
from msgspec.structs import replace

from domain.offers.value_count import MAX_VALUES

MAX_ITEMS, MAX_ENVELOPE_MEMBERS, MAX_IMAGE_BYTES = 200_000, 100, 3 * 1024 * 1024


class BodyBounds(Struct, frozen=True):
    """`max_members`: of the envelope. `max_values`: of one content. `max_image_bytes`: of an inline image, as sent."""

    max_items: int = MAX_ITEMS
    max_members: int = MAX_ENVELOPE_MEMBERS
    max_values: int = MAX_VALUES
    max_image_bytes: int = MAX_IMAGE_BYTES


UNBOUNDED = BodyBounds(max_items=sys.maxsize, max_members=sys.maxsize, max_values=sys.maxsize)


def of_accepted(bounds: BodyBounds) -> BodyBounds:
    """Returns the bounds of an accepted body, which must be executed even if a setting has changed meanwhile."""
    return replace(bounds, max_items=sys.maxsize, max_members=sys.maxsize)
