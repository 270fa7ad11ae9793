"""Partner settings: state and decisions."""

from typing import Literal, assert_never

from msgspec import Struct
from msgspec.structs import asdict, replace

from domain.events import PartnerEvent, PartnerRegistered, PartnerSettingsChanged
from domain.redemption.window import require_days
from domain.values import MissingFromFile, Operation, PartnerSettings

# State


class Partner(Struct, frozen=True):
    """State of a partner; `registered` is False for an unknown name."""

    registered: bool = False
    settings: PartnerSettings = PartnerSettings()

    def limit(self, operation: Operation) -> int:
        match operation:
            case Operation.SYNCHRONIZE:
                return self.settings.synchronize_per_day
            case Operation.INSERT:
                return self.settings.insert_per_hour
            case _:
                assert_never(operation)


UNKNOWN_PARTNER = Partner()


def evolve(_: Partner, event: PartnerEvent) -> Partner:
    match event:
        case PartnerRegistered() | PartnerSettingsChanged():
            return Partner(registered=True, settings=event.settings)
        case _:
            assert_never(event)


# Decisions


class SetPartner(Struct, frozen=True):
    """Command that creates or changes a partner. None keeps the current value, or the default for a new partner."""

    name: str
    synchronize_per_day: int | None = None
    insert_per_hour: int | None = None
    rps: int | None = None
    daily_quota: int | Literal["auto"] | None = None
    missing_from_file: MissingFromFile | None = None
    redemption_window_days: int | None = None


def set_partner(partner: Partner, command: SetPartner) -> list[PartnerEvent]:
    """Returns the events of a command: none if no setting changes. Raises WindowDaysOutOfBounds."""
    if command.redemption_window_days is not None:
        require_days(command.redemption_window_days)
    changes = {name: value for name, value in asdict(command).items() if name != "name" and value is not None}
    settings = replace(partner.settings, **changes)
    if not partner.registered:
        return [PartnerRegistered(partner=command.name, settings=settings)]
    return [] if settings == partner.settings else [PartnerSettingsChanged(settings=settings)]
