"""Tests of pseudonyms: a partner sees a customer under a name that reveals nothing and works for no other partner."""

import base64
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from api.access.pseudonyms import Pseudonyms
from api.settings import Settings
from api.wiring import open_service
from tests.support.engine import empty_database

SECRET = bytes(range(64))
PSEUDONYMS = Pseudonyms(SECRET)
KEY = "a key of at least 32 characters, set by hand"
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
"""All ids that the service accepts. Names of partners have the same form."""
SPELLING = st.text("ABCXYZabcxyz0189-_+/=. \né", max_size=80)


def test_pseudonym_is_the_same_in_every_version() -> None:
    """Partners store pseudonyms, so they must not change."""
    assert PSEUDONYMS.of("tidepool", "C-1") == "D-WyGb1qZ9usOMkhE-3Nl9Hk3Q"


@given(IDS, IDS)
def test_customer_is_found_by_the_pseudonym(partner: str, customer: str) -> None:
    pseudonym = PSEUDONYMS.of(partner, customer)
    assert Pseudonyms(SECRET).of(partner, customer) == pseudonym
    assert Pseudonyms(SECRET).customer(partner, pseudonym) == customer


@given(IDS, IDS)
def test_pseudonym_needs_no_escaping(partner: str, customer: str) -> None:
    """It can be used in a URL and in a CSV file."""
    assert re.fullmatch("[A-Za-z0-9_-]{23,}", PSEUDONYMS.of(partner, customer))


@given(IDS, IDS, IDS)
def test_customers_have_different_pseudonyms(partner: str, one: str, other: str) -> None:
    assume(one != other)
    assert PSEUDONYMS.of(partner, one) != PSEUDONYMS.of(partner, other)


@given(IDS, IDS, IDS)
def test_pseudonym_is_different_and_unusable_for_another_partner(one: str, other: str, customer: str) -> None:
    assume(one != other)
    pseudonym = PSEUDONYMS.of(one, customer)
    assert PSEUDONYMS.of(other, customer) != pseudonym
    assert PSEUDONYMS.customer(other, pseudonym) is None


@given(st.binary(min_size=32, max_size=80), IDS, IDS)
def test_another_secret_gives_other_pseudonyms(secret: bytes, partner: str, customer: str) -> None:
    assume(secret != SECRET)
    pseudonym = Pseudonyms(secret).of(partner, customer)
    assert PSEUDONYMS.of(partner, customer) != pseudonym
    assert PSEUDONYMS.customer(partner, pseudonym) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("tidepool", "C-1" * 20), ("juniper", "C-1" * 20)),
        (("tidepool", "C-1" * 20), ("tidepool", "C-1" * 19 + "C-2")),
    ],
    ids=["one customer of two partners", "two customers whose ids are alike"],
)
def test_pseudonyms_have_nothing_in_common(one: tuple[str, str], other: tuple[str, str]) -> None:
    sealed = [base64.urlsafe_b64decode(f"{PSEUDONYMS.of(*pair)}==") for pair in (one, other)]
    runs = [{text[start : start + 4] for start in range(len(text) - 3)} for text in sealed]
    assert runs[0].isdisjoint(runs[1])
    assert not any(b"C-1" in text for text in sealed)


@given(st.one_of(IDS, SPELLING, st.binary(max_size=40).map(lambda sealed: base64.urlsafe_b64encode(sealed).decode())))
def test_arbitrary_text_is_no_pseudonym(text: str) -> None:
    assert PSEUDONYMS.customer("tidepool", text) is None


@given(IDS, st.data())
def test_changed_pseudonym_is_no_pseudonym(customer: str, data: st.DataObject) -> None:
    pseudonym = PSEUDONYMS.of("tidepool", customer)
    place = data.draw(st.integers(0, len(pseudonym)))
    length = data.draw(st.integers(0, 2))
    changed = pseudonym[:place] + data.draw(st.text("AQgw09-_= \n", max_size=2)) + pseudonym[place + length :]
    assume(changed != pseudonym)
    assert PSEUDONYMS.customer("tidepool", changed) is None


def test_pseudonym_has_one_spelling() -> None:
    for customer in ("C", "C-", "C-1"):
        pseudonym = PSEUDONYMS.of("tidepool", customer)
        spellings = [f"{pseudonym}=", f"{pseudonym}==", f" {pseudonym}", f"{pseudonym}\n", pseudonym.swapcase()]
        alike = [pseudonym[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
        customers = [PSEUDONYMS.customer("tidepool", text) for text in [*spellings, *alike] if text != pseudonym]
        assert set(customers) == {None}


def test_ledger_keeps_its_secret(settings: Settings) -> None:
    pseudonyms = []
    for _ in range(2):
        with open_service(settings) as service:
            pseudonyms.append(service.pseudonyms.of("tidepool", "C-1"))
    assert pseudonyms[0] == pseudonyms[1]


def test_ledgers_have_different_secrets(tmp_path: Path) -> None:
    pseudonyms = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with empty_database(tmp_path / name) as settings, open_service(settings) as service:
            pseudonyms.add(service.pseudonyms.of("tidepool", "C-1"))
    assert len(pseudonyms) == 2


def test_configured_key_replaces_the_ledgers_secret(tmp_path: Path) -> None:
    pseudonyms = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with empty_database(tmp_path / name) as settings:
            with_key = settings.model_copy(update={"pseudonym_key": SecretStr(KEY)})
            with open_service(with_key) as service:
                pseudonyms.add(service.pseudonyms.of("tidepool", "C-1"))
    assert pseudonyms == {Pseudonyms(KEY.encode()).of("tidepool", "C-1")}
