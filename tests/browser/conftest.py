"""Fixtures: a real Chromium, users of the console, and ledgers with data."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from api.service import Service
from domain.access.partner import SetPartner
from domain.values import Operation, Role
from tests.browser.person import Person
from tests.browser.requirements import skip_or_fail
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock, MakeToken
from tests.support.histories.full_ledger import OTHER, record_everything
from tests.support.histories.single_requests import merchant_key
from tests.support.histories.traffic import putting, sending, waiting

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The sandbox of Chromium does not work for root.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]

People = Callable[..., Person]
"""Returns a user with a new browser context, signed in if there is a secret: `people(secret, color_scheme="dark")`."""


# Its scope is this package: while it runs, its event loop occupies the thread, and no other test could run one.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("OFFER_LEDGER_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        skip_or_fail("Chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=FLAGS) as browser:
        yield browser


@pytest.fixture
def people(chromium: Browser, address: str) -> Iterator[People]:
    persons: list[Person] = []

    def new_person(secret: str | None = None, **options: Any) -> Person:
        person = Person(chromium.new_context(**options), address)
        persons.append(person)
        if secret:
            person.sign_in(secret)
        return person

    yield new_person
    complaints = [person.complaints() for person in persons]
    for person in persons:
        person.context.close()
    assert not any(complaints), complaints


@pytest.fixture
def person(people: People) -> Person:
    """A user without a session."""
    return people()


@pytest.fixture
def reader(people: People, token: MakeToken) -> Person:
    """A signed-in auditor."""
    return people(token(Role.AUDITOR))


@pytest.fixture
def operator(people: People, token: MakeToken) -> Person:
    return people(token(Role.OPERATOR))


@pytest.fixture
def offers(service: Service, clock: Clock) -> None:
    """Records two batch offers, a merchant offer and one of another partner. A day later, a batch offer changes."""
    for partner in (PARTNER, OTHER):
        service.ledger.handle(SetPartner(partner), OPERATOR)
    steps = [
        sending(Operation.INSERT, ["TP-1", "TP-2"], "Open a jar"),
        putting(merchant_key("MO-1"), "Noodle house"),
        putting(merchant_key("HL-1", partner=OTHER), "Harbour lights"),
        waiting(1),
        sending(Operation.INSERT, ["TP-1"], "Fill a jar"),
    ]
    for step in steps:
        step(service, clock)


@pytest.fixture
def full(service: Service, clock: Clock) -> None:
    """Records at least one event of every type."""
    record_everything(service, clock)
