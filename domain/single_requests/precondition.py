"""Preconditions of single requests: which versions an offer may have.

A deleted offer keeps its versions. Only an offer that was never received has none.
"""

from msgspec import Struct

from domain.offers.offer import Offer


class Versions(Struct, frozen=True):
    """A set of versions of existing offers: some numbers, or all of them."""

    numbers: frozenset[int] = frozenset()
    is_all: bool = False

    def contain(self, offer: Offer) -> bool:
        return offer.version > 0 and (self.is_all or offer.version in self.numbers)


class Precondition(Struct, frozen=True):
    """The version must be one of `one_of`, and none of `none_of`; None sets no condition."""

    one_of: Versions | None = None
    none_of: Versions | None = None

    def holds(self, offer: Offer) -> bool:
        has_one = self.one_of is None or self.one_of.contain(offer)
        has_none = self.none_of is None or not self.none_of.contain(offer)
        return has_one and has_none
