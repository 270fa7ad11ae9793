"""offer-ledger tokens"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.dependencies.authentication import digest_secret
from api.settings import Settings
from tests.support.harness import Call, Clock
from tests.support.processes.shell import (
    Run,
    by_hand,
    position,
    require_refusal,
    require_success,
    require_usage_error,
    require_usage_sentence,
)

SECRET = re.compile(r"[\w-]{43,}")
AUDITOR = ("tokens", "create", "--role", "auditor", "--name")


def stored_bytes(settings: Settings) -> bytes:
    """Returns all bytes of the ledger's files; on PostgreSQL, all values of its tables."""
    if settings.is_shared:
        with by_hand(settings) as tx:
            rows = [
                row for table in tx.dialect.table_names(tx) for row in tx.execute(f"SELECT * FROM {table}").fetchall()
            ]
        return b"".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
    folder = Path(settings.database).parent
    return b"".join(path.read_bytes() for path in folder.glob(f"{settings.database.name}*"))


# create


def test_create_prints_only_the_secret(run: Run) -> None:
    printed = require_success(run(*AUDITOR, "books"))
    assert SECRET.fullmatch(printed.removesuffix("\n"))


def test_every_token_has_another_secret(run: Run) -> None:
    assert require_success(run(*AUDITOR, "books")) != require_success(run(*AUDITOR, "papers"))


def test_ledger_stores_the_digest_of_a_secret_only(run: Run, settings: Settings) -> None:
    secret = require_success(run(*AUDITOR, "books")).strip()
    stored = stored_bytes(settings)
    assert digest_secret(secret).encode() in stored
    assert secret.encode() not in stored


@pytest.mark.parametrize("role", ["publisher", "auditor", "operator"])
def test_only_partner_tokens_have_a_partner(partnered: Run, role: str) -> None:
    command = ("tokens", "create", "--role", role, "--name", "books")
    require_usage_sentence(partnered(*command, "--partner", "tidepool"), "--partner")
    require_success(partnered(*command))


def test_partner_token_requires_a_partner(partnered: Run) -> None:
    command = ("tokens", "create", "--role", "partner", "--name", "feed")
    require_usage_sentence(partnered(*command), "--partner")
    require_success(partnered(*command, "--partner", "tidepool"))


def test_token_for_an_unknown_partner_is_refused(run: Run) -> None:
    command = ("tokens", "create", "--role", "partner", "--partner", "nobody", "--name", "feed")
    require_refusal(run(*command), "nobody")
    assert position(run) == 0


def test_name_in_use_is_refused(run: Run) -> None:
    require_success(run(*AUDITOR, "books"))
    require_refusal(run(*AUDITOR, "books"), "books")
    assert position(run) == 1


def test_name_of_a_revoked_token_can_be_reused(run: Run, call: Call) -> None:
    first = require_success(run(*AUDITOR, "books")).strip()
    require_success(run("tokens", "revoke", "books"))
    second = require_success(run(*AUDITOR, "books")).strip()
    assert [call(secret).get("/api/v1/offers").status_code for secret in (first, second)] == [401, 200]


@pytest.mark.parametrize("name", ["x", "x" * 64, "tide feed", "日本", "[bold]x[/bold]"])
def test_name_may_have_1_to_64_printable_characters(run: Run, name: str) -> None:
    require_success(run(*AUDITOR, name))
    assert run("tokens", "list", "--json").json["items"][0]["name"] == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "a\x1b[31mb", "a\u202eb", " a"])
def test_invalid_name_is_a_usage_error_that_names_the_option(run: Run, name: str) -> None:
    require_usage_sentence(run(*AUDITOR, name), "--name")
    assert position(run) == 0


def test_default_limit_is_600_requests_per_minute(run: Run) -> None:
    run(*AUDITOR, "books")
    run(*AUDITOR, "papers", "--requests-per-minute", 7)
    run(*AUDITOR, "scrolls", "--requests-per-minute", 0)
    listed = run("tokens", "list", "--json").json["items"]
    assert [item["requestsPerMinute"] for item in listed] == [600, 7, 0]


# --expires-at


@pytest.mark.parametrize("time", ["2027-01", "tomorrow", "", "2027-13-01T00:00:00Z"])
def test_expiry_requires_a_time(run: Run, time: str) -> None:
    require_usage_error(run(*AUDITOR, "books", "--expires-at", time), "--expires-at")
    assert position(run) == 0


@pytest.mark.parametrize(
    "time", ["2027-01-01T00:00:00Z", "2027-01-01T02:00:00+02:00", "2026-12-31T19:30:00-04:30", "2027-01-01"]
)
def test_expiry_accepts_every_offset(run: Run, time: str) -> None:
    require_success(run(*AUDITOR, "books", "--expires-at", time))
    assert run("tokens", "list", "--json").json["items"][0]["expiresAt"] == "2027-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_expiry_outside_the_calendar_does_not_break_the_list(run: Run, time: str) -> None:
    run(*AUDITOR, "books", "--expires-at", time)
    require_success(run("tokens", "list"))


def test_token_works_until_its_expiry(run: Run, call: Call, clock: Clock) -> None:
    expiry = datetime.now(UTC) + timedelta(days=1)  # the command reads the machine's clock
    caller = call(require_success(run(*AUDITOR, "books", "--expires-at", expiry.isoformat())).strip())
    clock.now = expiry - timedelta(microseconds=1)
    assert caller.get("/api/v1/offers").status_code == 200
    clock.now = expiry
    assert caller.get("/api/v1/offers").status_code == 401


# list


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_list_shows_neither_secrets_nor_digests(run: Run, options: list[str]) -> None:
    secret = require_success(run(*AUDITOR, "books")).strip()
    listed = require_success(run("tokens", "list", *options))
    assert "books" in listed
    assert secret not in listed
    assert digest_secret(secret) not in listed


def test_json_of_the_list_has_all_members_except_the_secret(partnered: Run) -> None:
    partnered("tokens", "create", "--role", "partner", "--partner", "tidepool", "--name", "feed")
    item = partnered("tokens", "list", "--json").json["items"][0]
    assert list(item) == ["name", "role", "partner", "requestsPerMinute", "createdAt", "expiresAt", "revokedAt"]
    assert (item["name"], item["role"], item["partner"]) == ("feed", "partner", "tidepool")
    assert (item["expiresAt"], item["revokedAt"]) == (None, None)


def test_list_shows_the_state_of_each_token(run: Run) -> None:
    run(*AUDITOR, "books")
    run(*AUDITOR, "papers", "--expires-at", "2999-01-01T00:00:00Z")
    run(*AUDITOR, "scrolls")
    run("tokens", "revoke", "scrolls")
    books, papers, scrolls = require_success(run("tokens", "list")).splitlines()[1:]
    assert books.rstrip().endswith(" valid")
    assert "valid until 2999-01-01T00:00:00.000000Z" in papers
    assert "revoked 20" in scrolls


def test_empty_list_names_the_command_that_creates_a_token(run: Run) -> None:
    assert "offer-ledger tokens create" in require_success(run("tokens", "list"))


def test_json_of_an_empty_list_has_no_items(run: Run) -> None:
    assert run("tokens", "list", "--json").json == {"items": []}


# revoke


def test_revoke_names_the_revoked_token(run: Run) -> None:
    run(*AUDITOR, "books")
    assert "books" in require_success(run("tokens", "revoke", "books"))
    assert run("tokens", "list", "--json").json["items"][0]["revokedAt"] is not None


def test_revoked_token_is_refused_from_the_next_request(run: Run, call: Call) -> None:
    caller = call(require_success(run(*AUDITOR, "books")).strip())
    assert caller.get("/api/v1/offers").status_code == 200
    run("tokens", "revoke", "books")
    assert caller.get("/api/v1/offers").status_code == 401


def test_revoking_an_unknown_token_is_refused(run: Run) -> None:
    require_refusal(run("tokens", "revoke", "books"), "books")


def test_revoking_a_token_twice_is_refused(run: Run) -> None:
    run(*AUDITOR, "books")
    run("tokens", "revoke", "books")
    require_refusal(run("tokens", "revoke", "books"), "books")
    assert position(run) == 2
