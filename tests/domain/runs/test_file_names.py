"""Names of offers files: their form, and the dates and prefixes that are refused."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusals import FileDatedAhead, FileOfAnotherPartner, FileSuperseded
from domain.runs.file_names import (
    FileName,
    begins_with_partner,
    parse_file_name,
    require_file_date,
    require_file_order,
    require_own_prefix,
)

PARTNERS = ["tidepool", "harbor-dining", "harbor", "a.1"]

# Form


@pytest.mark.parametrize(
    ("name", "partner", "dated"),
    [
        ("TidepoolOffers20261122.json", "Tidepool", date(2026, 11, 22)),
        ("TOffers00010101.json", "T", date(1, 1, 1)),
        ("tide-pool_2 & Sons (Süd) 商店Offers99991231.json", "tide-pool_2 & Sons (Süd) 商店", date(9999, 12, 31)),
        ("HarborDiningOffers20240229.json", "HarborDining", date(2024, 2, 29)),
        ("OffersOffers20261122.json", "Offers", date(2026, 11, 22)),
        ("TideOffers20250101.jsonOffers20261122.json", "TideOffers20250101.json", date(2026, 11, 22)),
        ("Tide20250101Offers20261122.json", "Tide20250101", date(2026, 11, 22)),
        (f"{'T' * 100}Offers20261122.json", "T" * 100, date(2026, 11, 22)),
    ],
)
def test_file_name_has_partner_and_date(name: str, partner: str, dated: date) -> None:
    assert parse_file_name(name) == FileName(partner, dated)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Tidepool",
        "Offers20261122.json",
        "TidepoolOffers.json",
        "TidepoolOffers2026112.json",
        "TidepoolOffers202611222.json",
        "TidepoolOffers2026-11-22.json",
        "TidepoolOffers2026 122.json",
        "TidepoolOffers+2026112.json",
        "TidepoolOffers2026W471.json",
        "Tidepool20261122.json",
        "Tidepooloffers20261122.json",
        "TidepoolOFFERS20261122.json",
        "TidepoolOffers20261122",
        "TidepoolOffers20261122.JSON",
        "TidepoolOffers20261122.json.gz",
        "TidepoolOffers20261122_json",
        "TidepoolOffers20261122.json ",
        "TidepoolOffers20261122.json\n",
        "TidepoolOffers20261122.json\0",
        "TidepoolOffers20261122 (1).json",
        "TidepoolOffers 20261122.json",
        "\nTidepoolOffers20261122.json",
        "Tide\0poolOffers20261122.json",
        "Tide\x7fpoolOffers20261122.json",
        "drop/TidepoolOffers20261122.json",
        "../TidepoolOffers20261122.json",
        "drop\\TidepoolOffers20261122.json",
        f"{'T' * 101}Offers20261122.json",
    ],
)
def test_other_file_names_are_rejected(name: str) -> None:
    assert parse_file_name(name) is None


@pytest.mark.parametrize("day", ["20261301", "20260001", "20260431", "20260229", "19000229", "20261100", "00000101"])
def test_file_name_must_have_an_existing_date(day: str) -> None:
    assert parse_file_name(f"TidepoolOffers{day}.json") is None


@pytest.mark.parametrize("day", ["\uff12\uff10\uff12\uff16\uff11\uff11\uff12\uff12", "2026112\u0662", "2026112\u00b2"])
def test_file_name_must_have_ascii_digits(day: str) -> None:
    assert parse_file_name(f"TidepoolOffers{day}.json") is None


def test_file_name_that_is_not_utf_8_is_rejected() -> None:
    """Python represents a file name that is not UTF-8 like this. It could not be stored."""
    assert parse_file_name("Tide\udcffpoolOffers20261122.json") is None


@given(st.from_regex(r"\A[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,100}\Z"), st.dates())
def test_any_partner_and_date_can_be_in_a_file_name(partner: str, dated: date) -> None:
    day = dated.isoformat().replace("-", "")
    assert parse_file_name(f"{partner}Offers{day}.json") == FileName(partner, dated)


NEARLY = st.lists(
    st.sampled_from(["Tide", "Offers", "offers", "2026", "11", "22", "0229", "\u00b2", ".json", "\n", "/"])
)


@given(st.text() | NEARLY.map("".join))
def test_parsed_parts_form_the_file_name(name: str) -> None:
    parts = parse_file_name(name)
    assert parts is None or name == f"{parts.partner}Offers{parts.dated.isoformat().replace('-', '')}.json"


# Dates


@given(st.dates(), st.none() | st.dates())
def test_only_files_older_than_the_newest_are_refused(dated: date, newest: date | None) -> None:
    if newest is None or dated >= newest:
        require_file_order(dated, newest)
    else:
        with pytest.raises(FileSuperseded) as refused:
            require_file_order(dated, newest)
        assert str(dated) in str(refused.value)
        assert str(newest) in str(refused.value)


DAYS_TO_SPARE = timedelta(days=3)


@given(st.dates(max_value=date.max - DAYS_TO_SPARE), st.dates())
def test_file_may_be_dated_at_most_two_days_ahead(today: date, dated: date) -> None:
    if dated <= today + timedelta(days=2):
        require_file_date(dated, today)
    else:
        with pytest.raises(FileDatedAhead, match="more than 2 days ahead"):
            require_file_date(dated, today)


def test_third_day_ahead_is_the_first_that_is_refused() -> None:
    today = date(2026, 11, 22)
    require_file_date(date(2026, 11, 24), today)
    with pytest.raises(FileDatedAhead):
        require_file_date(date(2026, 11, 25), today)


# Prefixes


@pytest.mark.parametrize(
    ("prefix", "partner"),
    [
        ("HarborDining", "harbor-dining"),
        ("HARBOR_DINING", "harbor-dining"),
        ("Harbor Dining ", "harbor-dining"),
        ("\uff28arbor", "harbor"),
        ("A1", "a.1"),
        ("HarborOffers", "harbor.offers"),
    ],
)
def test_prefix_is_compared_by_letters_and_digits(prefix: str, partner: str) -> None:
    name = f"{prefix}Offers20261122.json"
    assert begins_with_partner(name, partner)
    require_own_prefix(name, partner, [*PARTNERS, partner])
    with pytest.raises(FileOfAnotherPartner):
        require_own_prefix(name, "tidepool", [*PARTNERS, partner])


@pytest.mark.parametrize("prefix", ["Day", "Harbor2", "HarborDinin", "HarborDiningEast", "Tide", "-", " ", "Härbor"])
def test_prefix_of_no_partner_is_not_refused(prefix: str) -> None:
    require_own_prefix(f"{prefix}Offers20261122.json", "tidepool", PARTNERS)
    assert not begins_with_partner(f"{prefix}Offers20261122.json", "tidepool")


def test_partners_with_the_same_letters_share_a_prefix() -> None:
    for partner in ("harbor-dining", "HarborDining"):
        require_own_prefix("HarborDiningOffers20261122.json", partner, ["harbor-dining", "HarborDining"])
