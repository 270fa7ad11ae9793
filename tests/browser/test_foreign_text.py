"""Is what others have written shown as they wrote it, and does none of it become a part of a page?"""

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
ASKED = quote(f"{IMAGE}{HANDLER}{TEMPLATE}")

PAGES = {
    OFFERS: [PARTNER, BATCH.external_id, MERCHANT.external_id, MERCHANT_ID, SCRIPT, TEMPLATE],
    f"{OFFERS}/{BATCH.offer_uid}": [PARTNER, BATCH.external_id, SCRIPT, HANDLER, CUSTOMER],
    f"{OFFERS}/{MERCHANT.offer_uid}": [PARTNER, MERCHANT.external_id, MERCHANT_ID, TEMPLATE],
    RUNS: [PARTNER],
    f"{COMPARE}?fromPosition=0": [PARTNER, BATCH.external_id, SCRIPT],
    f"{DESK}?customerId={quote(CUSTOMER)}&offerUid={BATCH.offer_uid}": [CUSTOMER, SCRIPT],
    f"{DESK}?customerId=C-1&offerUid={ASKED}": [IMAGE, HANDLER, TEMPLATE],
    f"{OFFERS}?q={ASKED}&partner={ASKED}": [],
    f"{OFFERS}?status={ASKED}": [],
    f"{OFFERS}?asOf={ASKED}": [],
    f"{PARTNERS}/{ASKED}": [],
    f"{CONSOLE}/{ASKED}": [],
    PARTNERS: [PARTNER],
    TOKENS: [PARTNER, HANDLER],
}
"""What has to be on each."""


ELEMENTS = ["[onerror]", "[onload]", "[onfocus]", "img:not([loading])", "script:not([src])", "script + script"]
"""Such as no template has."""


@pytest.fixture
def foreign(service: Service, clock: Clock) -> str:
    """A ledger full of it; gives the page of a run."""
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


def require_as_text(person: Person, written: list[str]) -> None:
    """It can be read on the page, and the page has the elements of its templates only."""
    text = person.page.locator("html").text_content() or ""
    assert [one for one in written if one not in text] == []
    assert person.page.locator(", ".join(ELEMENTS)).count() == 0


def test_what_others_have_written_is_text(
    foreign: str, people: People, token: MakeToken, subtests: pytest.Subtests
) -> None:
    person = people(token(Role.OPERATOR, name=HANDLER))
    for path, written in (PAGES | {foreign: [PARTNER, BATCH.external_id, f"TP-{SCRIPT}"]}).items():
        with subtests.test(path):
            person.open(path)
            require_as_text(person, [*written, HANDLER])
            assert person.complaints() == []


def test_where_to_go_after_signing_in_is_text_too(person: Person) -> None:
    person.open(f"{SIGN_IN}?next={quote(f'{OFFERS}?q={IMAGE}')}")
    require_as_text(person, [])
    assert person.page.locator("input[name=next]").get_attribute("value") == f"{OFFERS}?q={IMAGE}"
