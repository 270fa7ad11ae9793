"""Says in an error which bound an amount would exceed, and which setting it is."""

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.settings import setting_variable


def total_field(field: str) -> str:
    """Returns the setting of all holders together, such as `max_followers` for `max_followers_per_token`."""
    return field.partition("_per_")[0]


def exceeded_bound(allowance: Allowance, error: AllowanceExceeded, field: str, what: str) -> str:
    """Returns the detail of an error: `At most 10 followers for a token (OFFER_LEDGER_…); retry later.`

    `field` is the setting of one holder, such as `max_followers_per_token`."""
    if error.is_total:
        return f"At most {allowance.total} {what} for the server ({setting_variable(total_field(field))}); retry later."
    holder = field.rpartition("_")[2]
    return f"At most {allowance.per_holder} {what} for a {holder} ({setting_variable(field)}); retry later."
