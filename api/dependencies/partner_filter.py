"""The filter `partner` of lists."""

from api.http.problems import validation_error
from api.service import Service
from api.validation.field_errors import InvalidField
from domain.refusals import UnknownPartner
from domain.store.retry import retry_transaction
from projections.access.partners import require_registered
from projections.access.tokens import Caller


@retry_transaction
def partner_filter(service: Service, caller: Caller, name: str | None) -> str | None:
    """Returns the partner to which the caller limits a list: that of the filter, or that of its token.

    Raises Problem 422 for a name that no partner has: it is probably misspelt. A partner's token gets an empty list for any
    other name, so it does not learn which names exist. The primary answers, because a replica may lack a new partner."""
    if name is None or caller.partner is not None:
        return name or caller.partner
    try:
        require_registered(service.ledger, name)
    except UnknownPartner:
        raise validation_error([InvalidField(("query", "partner"), "names no partner of this ledger")]) from None
    return name
