"""A real Chromium, people who look at the console in it, and ledgers to look at."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from api.service import Service
from domain.access.partner import SetPartner
from domain.values import Operation, Role
from tests.browser.lacking import lacking
from tests.browser.person import Person
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
    # Its sandbox does not take root.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]

People = Callable[..., Person]
"""Gives somebody with a browser of their own, who has signed in if a secret is given: people(secret, color_scheme="dark")."""


# It ends with these tests: while it is there, its event loop is that of the thread, and nobody else can run one.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("OFFER_LEDGER_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        lacking("Chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=FLAGS) as browser:
        yield browser


@pytest.fixture
def people(chromium: Browser, address: str) -> Iterator[People]:
    found: list[Person] = []

    def coming(secret: str | None = None, **options: Any) -> Person:
        person = Person(chromium.new_context(**options), address)
        found.append(person)
        if secret:
            person.sign_in(secret)
        return person

    yield coming
    complaints = [person.complaints() for person in found]
    for person in found:
        person.context.close()
    assert not any(complaints), complaints


@pytest.fixture
def person(people: People) -> Person:
    """Somebody who has not signed in."""
    return people()


@pytest.fixture
def reader(people: People, token: MakeToken) -> Person:
    """An auditor."""
    return people(token(Role.AUDITOR))


@pytest.fixture
def operator(people: People, token: MakeToken) -> Person:
    return people(token(Role.OPERATOR))


@pytest.fixture
def offers(service: Service, clock: Clock) -> None:
    """Two of a batch, one of a merchant, and one of another partner; a day later, one of the batch says something else."""
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
    """A ledger in which there is something of everything."""
    record_everything(service, clock)
