"""Text from outside is shown verbatim and never becomes markup or script of a page."""

from urllib.parse import quote
from uuid import uuid4

import pytest

from api.access.console_sessions import CONSOLE
from api.console.rendering import COMPARE, DESK, OFFERS, PARTNERS, RUNS, SIGN_IN, TOKENS
from api.service import Service
from domain.access.partner import SetPartner
from domain.redemption.activation import Activate
from domain.redemption.activation_group import PendingActivation
from domain.values import Channel, MissingFromFile, OfferKey, Operation, Role
from tests.browser.conftest import People
from tests.browser.person import Person
from tests.support.examples import item
from tests.support.harness import OPERATOR, Clock, MakeToken, run_batch
from tests.support.histories.single_requests import put
from tests.support.histories.traffic import PUBLISHER

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
HANDLER = "' onfocus=alert(1) autofocus x='"
ENDING = "</title></textarea></details><svg onload=alert(1)>"
TEMPLATE = "{{ 7 * 7 }}{% raise %}"
PARTNER, CUSTOMER = f"{IMAGE}{ENDING}", f"C-{SCRIPT}"
MERCHANT_ID = f"M-{HANDLER}"
BATCH = OfferKey(PARTNER, Channel.CUSTOM, None, f"TP-{IMAGE}")
MERCHANT = OfferKey(PARTNER, Channel.MERCHANT, MERCHANT_ID, f"MO-{SCRIPT}")
QUERY = quote(f"{IMAGE}{HANDLER}{TEMPLATE}")

PAGES = {
    OFFERS: [PARTNER, BATCH.external_id, MERCHANT.external_id, MERCHANT_ID, SCRIPT, TEMPLATE],
    f"{OFFERS}/{BATCH.offer_uid}": [PARTNER, BATCH.external_id, SCRIPT, HANDLER, CUSTOMER],
    f"{OFFERS}/{MERCHANT.offer_uid}": [PARTNER, MERCHANT.external_id, MERCHANT_ID, TEMPLATE],
    RUNS: [PARTNER],
    f"{COMPARE}?fromPosition=0": [PARTNER, BATCH.external_id, SCRIPT],
    f"{DESK}?customerId={quote(CUSTOMER)}&offerUid={BATCH.offer_uid}": [CUSTOMER, SCRIPT],
    f"{DESK}?customerId=C-1&offerUid={QUERY}": [IMAGE, HANDLER, TEMPLATE],
    f"{OFFERS}?q={QUERY}&partner={QUERY}": [],
    f"{OFFERS}?status={QUERY}": [],
    f"{OFFERS}?asOf={QUERY}": [],
    f"{PARTNERS}/{QUERY}": [],
    f"{CONSOLE}/{QUERY}": [],
    PARTNERS: [PARTNER],
    TOKENS: [PARTNER, HANDLER],
}
"""The texts that each page must show."""

ELEMENTS = ["[onerror]", "[onload]", "[onfocus]", "img:not([loading])", "script:not([src])", "script + script"]
"""Selectors of elements that no template contains."""


@pytest.fixture
def foreign(service: Service, clock: Clock) -> str:
    """Fills the ledger with such text and returns the path of a run."""
    service.ledger.handle(SetPartner(PARTNER, missing_from_file=MissingFromFile.DELETE), OPERATOR)
    items = [
        item(BATCH.external_id, headline=SCRIPT, name=IMAGE, offerDetails=HANDLER, shortDescription=ENDING),
        item(f"TP-{SCRIPT}", headline=17),
    ]
    run = run_batch(service.ledger, Operation.INSERT, items, PARTNER)
    service.single_requests.execute([put(MERCHANT, TEMPLATE)])
    clock.move(days=1)
    service.activations.execute([PendingActivation(PUBLISHER, Activate(CUSTOMER, BATCH.offer_uid), uuid4())])
    return f"{RUNS}/{run.run_id}"


def require_as_text(person: Person, expected: list[str]) -> None:
    """Requires that the page shows these texts, and has only elements of its templates."""
    text = person.page.locator("html").text_content() or ""
    assert [part for part in expected if part not in text] == []
    assert person.page.locator(", ".join(ELEMENTS)).count() == 0


def test_text_from_outside_is_shown_as_text(
    foreign: str, people: People, token: MakeToken, subtests: pytest.Subtests
) -> None:
    person = people(token(Role.OPERATOR, name=HANDLER))
    for path, expected in (PAGES | {foreign: [PARTNER, BATCH.external_id, f"TP-{SCRIPT}"]}).items():
        with subtests.test(path):
            person.open(path)
            require_as_text(person, [*expected, HANDLER])
            assert person.complaints() == []


def test_return_path_of_the_sign_in_page_is_escaped(person: Person) -> None:
    person.open(f"{SIGN_IN}?next={quote(f'{OFFERS}?q={IMAGE}')}")
    require_as_text(person, [])
    assert person.page.locator("input[name=next]").get_attribute("value") == f"{OFFERS}?q={IMAGE}"
