"""Under which name does a partner see a customer, and what can be made of it?"""

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
from tests.support.engine import an_empty_database

SECRET = bytes(range(64))
PSEUDONYMS = Pseudonyms(SECRET)
KEY = "a key of at least 32 characters, set by hand"
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
"""Every id that can be sent; partners have such names too."""
SPELLING = st.text("ABCXYZabcxyz0189-_+/=. \né", max_size=80)


def test_a_pseudonym_is_the_same_in_every_version_of_the_service() -> None:
    """Partners keep them."""
    assert PSEUDONYMS.of("tidepool", "C-1") == "D-WyGb1qZ9usOMkhE-3Nl9Hk3Q"


@given(IDS, IDS)
def test_a_customer_has_one_pseudonym_and_is_found_by_it(partner: str, customer: str) -> None:
    pseudonym = PSEUDONYMS.of(partner, customer)
    assert Pseudonyms(SECRET).of(partner, customer) == pseudonym
    assert Pseudonyms(SECRET).customer(partner, pseudonym) == customer


@given(IDS, IDS)
def test_a_pseudonym_can_stand_anywhere(partner: str, customer: str) -> None:
    """In an address and in a CSV file, without being escaped."""
    assert re.fullmatch("[A-Za-z0-9_-]{23,}", PSEUDONYMS.of(partner, customer))


@given(IDS, IDS, IDS)
def test_two_customers_have_two_pseudonyms(partner: str, one: str, other: str) -> None:
    assume(one != other)
    assert PSEUDONYMS.of(partner, one) != PSEUDONYMS.of(partner, other)


@given(IDS, IDS, IDS)
def test_a_customer_has_another_pseudonym_for_another_partner_who_can_not_use_the_first(
    one: str, other: str, customer: str
) -> None:
    assume(one != other)
    pseudonym = PSEUDONYMS.of(one, customer)
    assert PSEUDONYMS.of(other, customer) != pseudonym
    assert PSEUDONYMS.customer(other, pseudonym) is None


@given(st.binary(min_size=32, max_size=80), IDS, IDS)
def test_with_another_secret_everyone_has_another_pseudonym(secret: bytes, partner: str, customer: str) -> None:
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
def test_two_pseudonyms_have_nothing_in_common(one: tuple[str, str], other: tuple[str, str]) -> None:
    sealed = [base64.urlsafe_b64decode(f"{PSEUDONYMS.of(*known)}==") for known in (one, other)]
    runs = [{text[start : start + 4] for start in range(len(text) - 3)} for text in sealed]
    assert runs[0].isdisjoint(runs[1])
    assert not any(b"C-1" in text for text in sealed)


@given(st.one_of(IDS, SPELLING, st.binary(max_size=40).map(lambda sealed: base64.urlsafe_b64encode(sealed).decode())))
def test_what_is_no_pseudonym_is_nobodys(text: str) -> None:
    assert PSEUDONYMS.customer("tidepool", text) is None


@given(IDS, st.data())
def test_a_pseudonym_that_was_changed_is_nobodys(customer: str, data: st.DataObject) -> None:
    pseudonym = PSEUDONYMS.of("tidepool", customer)
    place = data.draw(st.integers(0, len(pseudonym)))
    length = data.draw(st.integers(0, 2))
    changed = pseudonym[:place] + data.draw(st.text("AQgw09-_= \n", max_size=2)) + pseudonym[place + length :]
    assume(changed != pseudonym)
    assert PSEUDONYMS.customer("tidepool", changed) is None


def test_a_pseudonym_has_one_spelling() -> None:
    for customer in ("C", "C-", "C-1"):
        pseudonym = PSEUDONYMS.of("tidepool", customer)
        spellings = [f"{pseudonym}=", f"{pseudonym}==", f" {pseudonym}", f"{pseudonym}\n", pseudonym.swapcase()]
        alike = [pseudonym[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
        found = [PSEUDONYMS.customer("tidepool", text) for text in [*spellings, *alike] if text != pseudonym]
        assert set(found) == {None}


def test_a_ledger_keeps_its_own_secret(settings: Settings) -> None:
    told = []
    for _ in range(2):
        with open_service(settings) as service:
            told.append(service.pseudonyms.of("tidepool", "C-1"))
    assert told[0] == told[1]


def test_no_two_ledgers_have_the_same_secret(tmp_path: Path) -> None:
    told = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with an_empty_database(tmp_path / name) as there, open_service(there) as service:
            told.add(service.pseudonyms.of("tidepool", "C-1"))
    assert len(told) == 2


def test_a_key_that_is_set_is_used_by_every_ledger(tmp_path: Path) -> None:
    told = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with an_empty_database(tmp_path / name) as there:
            keyed = there.model_copy(update={"pseudonym_key": SecretStr(KEY)})
            with open_service(keyed) as service:
                told.add(service.pseudonyms.of("tidepool", "C-1"))
    assert told == {Pseudonyms(KEY.encode()).of("tidepool", "C-1")}
