"""Numbers that msgspec converts slowly are decoded by the standard library, to the same values."""

import json

import msgspec
import pytest

from api.parsing.fast_json import read_element
from domain.offers import slow_numbers
from domain.offers.slow_numbers import FEW_NUMBERS, decode_content, has_slow_numbers

SLOW = ["1.2345678901234567e-300", "5e-324", "1.5E0300", "-1e+300", f"0.{'0' * 300}1234567890123456789"]
USUAL = ["1", "1.5", "1e22", "9007199254740991", "12345678901234567890", "1e-99", '"Lunch, 100 % free"', "null"]


def many(*values: str) -> bytes:
    repeated = values * (FEW_NUMBERS // len(values) + 1)
    return b'{"member":[%b]}' % ",".join(repeated).encode()


@pytest.mark.parametrize("number", SLOW)
def test_many_slow_numbers_are_found_and_few_are_not(number: str) -> None:
    assert has_slow_numbers(many("1", number))
    assert not has_slow_numbers(f"[{number}]".encode())


def test_usual_contents_have_no_slow_numbers() -> None:
    assert not has_slow_numbers(many(*USUAL))


def test_slow_numbers_are_decoded_as_msgspec_decodes_them() -> None:
    text = many(*SLOW, *USUAL)
    assert repr(decode_content(text)) == repr(msgspec.json.decode(text))


def test_slow_numbers_never_reach_msgspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_numbers, "_decode", None)
    monkeypatch.setattr("api.parsing.fast_json._decode", None)
    text = many("1.2345678901234567e-300")
    assert decode_content(text) == read_element(text).value == json.loads(text)
