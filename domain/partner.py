"""Which settings does a partner have?"""

from typing import assert_never

from msgspec import Struct

from domain.events import PartnerEvent, PartnerRegistered, PartnerSettingsChanged
from domain.values import Operation

# State


class Partner(Struct, frozen=True):
    """A limit of 0 means unlimited. `registered` tells a partner from a name never heard."""

    registered: bool = False
    synchronize_per_day: int = 1
    insert_per_hour: int = 1

    def limit(self, operation: Operation) -> int:
        match operation:
            case Operation.SYNCHRONIZE:
                return self.synchronize_per_day
            case Operation.INSERT:
                return self.insert_per_hour
            case _:
                assert_never(operation)


UNKNOWN = Partner()


def evolve(_: Partner, event: PartnerEvent) -> Partner:
    match event:
        case PartnerRegistered() | PartnerSettingsChanged():
            return Partner(True, event.synchronize_per_day, event.insert_per_hour)  # noqa: FBT003
        case _:
            assert_never(event)


# Decisions


class SetPartner(Struct, frozen=True):
    """Create or change a partner; None leaves a setting as it is (at first: its default)."""

    name: str
    synchronize_per_day: int | None = None
    insert_per_hour: int | None = None


def set_partner(partner: Partner, command: SetPartner) -> list[PartnerEvent]:
    synchronize_per_day = _chosen(command.synchronize_per_day, partner.synchronize_per_day)
    insert_per_hour = _chosen(command.insert_per_hour, partner.insert_per_hour)
    if not partner.registered:
        return [
            PartnerRegistered(
                partner=command.name, synchronize_per_day=synchronize_per_day, insert_per_hour=insert_per_hour
            )
        ]
    if (synchronize_per_day, insert_per_hour) == (partner.synchronize_per_day, partner.insert_per_hour):
        return []
    return [PartnerSettingsChanged(synchronize_per_day=synchronize_per_day, insert_per_hour=insert_per_hour)]


def _chosen(new: int | None, present: int) -> int:
    return present if new is None else new
