"""The main tasks of auditors, publishers and operators in a browser."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from api.console.rendering import DESK, OFFERS, RUNS, SIGN_IN, TOKENS
from api.service import Service
from domain.redemption.activation import Activate
from domain.redemption.activation_group import PendingActivation
from domain.values import Role
from tests.browser.conftest import People
from tests.browser.person import Person
from tests.support.examples import KEY, batch, body, item
from tests.support.harness import Clock, MakeToken, execute_run, run_ledger
from tests.support.histories.runs import accepted_batch
from tests.support.histories.traffic import PUBLISHER


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


@pytest.mark.usefixtures("offers")
def test_auditor_reads_a_change_and_opens_the_earlier_state(reader: Person) -> None:
    page = reader.page
    reader.open(OFFERS)
    page.get_by_role("link", name="TP-1", exact=True).click()
    expect(heading(page)).to_have_text("Fill a jar")
    change, creation = page.get_by_role("list").filter(has=page.get_by_text("position ")).get_by_role("listitem").all()
    expect(change.get_by_role("row").nth(1)).to_have_text(re.compile(r"headline\s*Open a jar\s*Fill a jar"))
    expect(change.get_by_role("link", name=re.compile("[0-9a-f]{8}"))).to_have_attribute("href", re.compile(RUNS))
    creation.get_by_text(re.compile(r"^\d+ fields")).click()
    expect(creation.get_by_role("row").filter(has_text="headline")).to_be_visible()
    assert "(local time)" in (change.get_by_role("time").first.get_attribute("title") or "")

    creation.get_by_role("link", name="view the state after its commit").click()
    expect(heading(page)).to_have_text("Open a jar")
    expect(page.get_by_text("You are viewing a past state")).to_be_visible()


def test_run_page_refreshes_until_the_run_finishes(reader: Person, service: Service) -> None:
    runs = run_ledger(service.ledger)
    document = batch("Insert", [item()])
    run = accepted_batch(runs, document, body(document))
    page = reader.page
    reader.open(f"{RUNS}/{run.run_id}")
    state = page.locator("#run").get_by_role("status")
    expect(state).to_have_text("accepted")
    page.evaluate("window.isSamePage = true")
    run = runs.claim(run.run_id)
    expect(state).to_have_text("running")
    execute_run(runs, run)
    expect(state).to_have_text("completed")
    expect(page.get_by_role("heading", name="Changes made by this run")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)
    assert page.evaluate("window.isSamePage")


@pytest.mark.usefixtures("offers")
def test_publisher_gets_a_verdict(service: Service, clock: Clock, people: People, token: MakeToken) -> None:
    service.activations.execute([PendingActivation(PUBLISHER, Activate("C-1", KEY.offer_uid), uuid4())])
    person = people(token(Role.PUBLISHER))
    page = person.page
    person.open(OFFERS)
    page.get_by_role("link", name="TP-1", exact=True).click()
    expect(heading(page)).to_have_text("Redemption desk")

    def check(customer: str, days: int) -> Locator:
        page.get_by_label("Customer").fill(customer)
        page.get_by_label("Purchase time (UTC)").fill(f"{clock.now + timedelta(days=days):%Y-%m-%dT%H:%M:%S}")
        page.get_by_role("button", name="Check").click()
        page.wait_for_url(f"{person.address}{DESK}?*customerId={customer}*")
        return page.get_by_role("status", name="Verdict")

    expect(check("C-1", 44)).to_contain_text("Yes: customer C-1 is owed a reward")
    expect(check("C-1", 46)).to_contain_text("No: a purchase at")
    expect(check("C-2", 1)).to_contain_text("No: customer C-2 had not activated this offer")


def test_operator_creates_and_revokes_a_token(operator: Person, people: People) -> None:
    page = operator.page
    operator.open(TOKENS)
    page.get_by_label("Name").fill("audra")
    page.get_by_label("Role").select_option("auditor")
    page.get_by_role("button", name="Create").click()
    secret = page.get_by_role("status", name="New token").locator("code").inner_text()
    audra = people(secret)
    assert audra.open(OFFERS) == 200

    operator.open(TOKENS)
    assert secret not in page.content()
    row = page.get_by_role("row").filter(has_text="audra")
    expect(row).to_contain_text("in use")
    row.get_by_text("Revoke …").click()
    row.get_by_role("button", name="Revoke audra").click()
    expect(row).to_contain_text("revoked")
    audra.open(OFFERS)
    expect(heading(audra.page)).to_have_text("Sign in")


OTHER_SITE = "http://elsewhere.example/"
LURE = """
    <form method=post action='{action}'><input name=name value=tidepool><input name=token value='{secret}'></form>
    <script>document.forms[0].submit()</script>
"""


def open_other_site(person: Person, action: str, secret: str) -> None:
    """Opens a page of another site that submits a form to the console."""
    lure = LURE.format(action=f"{person.address}{action}", secret=secret)
    person.page.route(OTHER_SITE, lambda route: route.fulfill(body=lure, content_type="text/html"))
    person.page.goto(OTHER_SITE, wait_until="commit")


def test_form_of_another_site_has_no_effect(operator: Person, token: MakeToken, subtests: pytest.Subtests) -> None:
    secret = token(Role.AUDITOR, name="elsewhere")
    # The browser sends no session cookie from another site: the first form arrives without a session.
    for action, answer in ((TOKENS, "No token yet?"), (SIGN_IN, "The form is from another site.")):
        with subtests.test(action):
            open_other_site(operator, action, secret)
            expect(operator.page.get_by_role("main")).to_contain_text(answer)
            assert operator.complaints() == [f"{OTHER_SITE} is not on the service"]
            operator.open(OFFERS)
            expect(operator.page.get_by_role("banner")).to_contain_text("operator-None")
