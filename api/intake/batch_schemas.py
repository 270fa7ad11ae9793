"""Models of a batch of offers, the request of the batch document. OpenAPI shows them too."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from api.validation.field_types import LIST_FORM, OBJECT_FORM, URL_PATTERN, UUID_PATTERN, Count, Identifier, Text
from api.validation.known_members import NotedMembers

CAP_PER_EVENT = "cap values on a multi-event offer must be set per event"
OFFER_CAPS = ("dailyCap", "weeklyCap", "monthlyCap", "allTimeCap")
Url = Annotated[
    str,
    Field(
        description="An absolute http or https URL, kept as sent; macros such as {gk_click_id} are allowed.",
        pattern=URL_PATTERN,
    ),
]
Cap = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]


class _StrictModel(BaseModel):
    """Accepts exact JSON types only. Unknown members are kept as part of the content."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: NotedMembers


class Creative(_StrictModel):
    """One image of an offer."""

    order: Count
    url: Url


def _distinct_orders(creatives: Sequence[Creative]) -> Sequence[Creative]:
    if len({creative.order for creative in creatives}) < len(creatives):
        raise PydanticCustomError("repeated_order", "each order must occur only once")
    return creatives


class OfferEventData(_StrictModel):
    """One event of a multi-event offer."""

    eventId: str
    name: str
    displayOrder: Count | None = None
    sequenceNumber: int | None = None
    revenue: NonNegative | None = None
    reward: NonNegative | None = None
    dailyCap: Cap | None = None
    weeklyCap: Cap | None = None
    monthlyCap: Cap | None = None
    allTimeCap: Cap | None = None
    showOnOfferWall: bool | None = None
    useDefaultRatio: bool | None = None
    allowRepetitions: bool | None = None
    minTimeFromPreviousEvent: Count | None = None
    deadlineDays: Count | None = None
    pendingTime: Count | None = None


def _distinct_events(events: Sequence[OfferEventData]) -> Sequence[OfferEventData]:
    if len({event.eventId for event in events}) < len(events):
        raise PydanticCustomError("repeated_event", "each eventId must occur only once")
    return events


class OfferData(_StrictModel):
    """The content of an offer on the batch channel. In a list, only the first invalid element is reported."""

    offerLink: Url
    trackingSystem: Text
    name: Text
    advertiserCampaignName: str | None
    headline: Text
    shortDescription: str | None
    keyPoints: str | None
    offerDetails: Text
    termsAndDisclaimers: str | None
    creativeFileExternalUrl: Url | None
    creatives: Annotated[list[Creative], Field(fail_fast=True), AfterValidator(_distinct_orders)]
    dailyCap: Cap | None = None
    weeklyCap: Cap | None = None
    monthlyCap: Cap | None = None
    allTimeCap: Cap | None = None
    offerEvents: Annotated[list[OfferEventData], Field(fail_fast=True), AfterValidator(_distinct_events)] | None = None

    @model_validator(mode="after")
    def _caps_per_event(self) -> Self:
        misplaced = [cap for cap in OFFER_CAPS if getattr(self, cap) is not None] if self.offerEvents else []
        if misplaced:
            error = PydanticCustomError("cap_on_multi_event_offer", CAP_PER_EVENT)
            details = [InitErrorDetails(type=error, loc=(cap,), input=None) for cap in misplaced]
            raise ValidationError.from_exception_data("OfferData", details)
        return self


def _form_tag(value: Any) -> str:
    return LIST_FORM if isinstance(value, list) else OBJECT_FORM


class BatchItem(BaseModel):
    """One offer of a batch. `offerData` is a list with exactly one object, or that object itself."""

    model_config = ConfigDict(strict=True)

    externalId: Identifier
    offerData: Annotated[
        Annotated[list[OfferData], Field(min_length=1, max_length=1), Tag(LIST_FORM)]
        | Annotated[OfferData, Tag(OBJECT_FORM)],
        Discriminator(_form_tag),
    ]


class BatchEnvelope(BaseModel):
    """The members of a batch other than its items. If one is invalid, the whole batch is refused."""

    model_config = ConfigDict(strict=True, extra="allow")

    concurrencyRequestId: Annotated[
        str,
        Field(
            description="A UUID, unique among the requests of the partner.",
            json_schema_extra={"format": "uuid"},
            pattern=UUID_PATTERN,
        ),
    ]
    operation: Literal["Synchronize", "Insert"]
    offers: list[Any]


class BatchRequest(BatchEnvelope):
    """A batch of offers. An invalid envelope refuses the batch; an invalid offer fails only that offer."""

    offers: Annotated[list[BatchItem], Field(min_length=1)]
