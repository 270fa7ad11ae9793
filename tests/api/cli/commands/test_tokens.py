"""offer-ledger tokens"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.dependencies.authentication import digest_secret
from api.settings import Settings
from tests.support.harness import Call, Clock
from tests.support.processes.shell import Run, by_hand, position, require_done, require_refusal, require_usage_sentence

SECRET = re.compile(r"[\w-]{43,}")
AUDITOR = ("tokens", "create", "--role", "auditor", "--name")


def stored_bytes(settings: Settings) -> bytes:
    """Everything that lies on disk of the ledger; on PostgreSQL, in its tables."""
    if settings.is_shared:
        with by_hand(settings) as tx:
            rows = [
                row for table in tx.dialect.table_names(tx) for row in tx.execute(f"SELECT * FROM {table}").fetchall()
            ]
        return b"".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
    folder = Path(settings.database).parent
    return b"".join(path.read_bytes() for path in folder.glob(f"{settings.database.name}*"))


# create


def test_create_prints_the_token_alone(run: Run) -> None:
    printed = require_done(run(*AUDITOR, "books"))
    assert SECRET.fullmatch(printed.removesuffix("\n"))


def test_every_token_is_another_one(run: Run) -> None:
    assert require_done(run(*AUDITOR, "books")) != require_done(run(*AUDITOR, "papers"))


def test_the_ledger_keeps_the_digest_of_a_token_and_not_the_token(run: Run, settings: Settings) -> None:
    secret = require_done(run(*AUDITOR, "books")).strip()
    stored = stored_bytes(settings)
    assert digest_secret(secret).encode() in stored
    assert secret.encode() not in stored


@pytest.mark.parametrize("role", ["publisher", "auditor", "operator"])
def test_a_token_of_any_other_role_is_without_a_partner(partnered: Run, role: str) -> None:
    command = ("tokens", "create", "--role", role, "--name", "books")
    require_usage_sentence(partnered(*command, "--partner", "tidepool"), "--partner")
    require_done(partnered(*command))


def test_a_partners_token_needs_its_partner(partnered: Run) -> None:
    command = ("tokens", "create", "--role", "partner", "--name", "feed")
    require_usage_sentence(partnered(*command), "--partner")
    require_done(partnered(*command, "--partner", "tidepool"))


def test_the_partner_of_a_token_must_be_known(run: Run) -> None:
    command = ("tokens", "create", "--role", "partner", "--partner", "nobody", "--name", "feed")
    require_refusal(run(*command), "nobody")
    assert position(run) == 0


def test_a_name_in_use_is_refused(run: Run) -> None:
    require_done(run(*AUDITOR, "books"))
    require_refusal(run(*AUDITOR, "books"), "books")
    assert position(run) == 1


def test_a_name_can_be_used_again_after_its_token_was_revoked(run: Run, call: Call) -> None:
    first = require_done(run(*AUDITOR, "books")).strip()
    require_done(run("tokens", "revoke", "books"))
    second = require_done(run(*AUDITOR, "books")).strip()
    assert [call(secret).get("/api/v1/offers").status_code for secret in (first, second)] == [401, 200]


@pytest.mark.parametrize("name", ["x", "x" * 64, "tide feed", "日本", "[bold]x[/bold]"])
def test_a_name_of_up_to_64_printable_characters_is_good(run: Run, name: str) -> None:
    require_done(run(*AUDITOR, name))
    assert run("tokens", "list", "--json").json["items"][0]["name"] == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "a\x1b[31mb", "a\u202eb", " a"])
def test_any_other_name_is_a_usage_error_that_names_the_option(run: Run, name: str) -> None:
    require_usage_sentence(run(*AUDITOR, name), "--name")
    assert position(run) == 0


def test_a_token_may_make_600_requests_per_minute_unless_told_otherwise(run: Run) -> None:
    run(*AUDITOR, "books")
    run(*AUDITOR, "papers", "--requests-per-minute", 7)
    run(*AUDITOR, "scrolls", "--requests-per-minute", 0)
    listed = run("tokens", "list", "--json").json["items"]
    assert [item["requestsPerMinute"] for item in listed] == [600, 7, 0]


# --expires-at


@pytest.mark.parametrize("moment", ["2027-01-01T00:00:00", "2027-01-01", "tomorrow", "", "2027-13-01T00:00:00Z"])
def test_an_end_needs_a_time_and_its_offset(run: Run, moment: str) -> None:
    require_usage_sentence(run(*AUDITOR, "books", "--expires-at", moment), "--expires-at")
    assert position(run) == 0


@pytest.mark.parametrize("moment", ["2027-01-01T00:00:00Z", "2027-01-01T02:00:00+02:00", "2026-12-31T19:30:00-04:30"])
def test_an_end_may_be_told_in_any_offset(run: Run, moment: str) -> None:
    require_done(run(*AUDITOR, "books", "--expires-at", moment))
    assert run("tokens", "list", "--json").json["items"][0]["expiresAt"] == "2027-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_an_end_beyond_all_calendars_does_not_break_the_list(run: Run, moment: str) -> None:
    run(*AUDITOR, "books", "--expires-at", moment)
    require_done(run("tokens", "list"))


def test_a_token_works_until_its_end(run: Run, call: Call, clock: Clock) -> None:
    end = datetime.now(UTC) + timedelta(days=1)  # the shell goes by the machine's clock
    caller = call(require_done(run(*AUDITOR, "books", "--expires-at", end.isoformat())).strip())
    clock.now = end - timedelta(microseconds=1)
    assert caller.get("/api/v1/offers").status_code == 200
    clock.now = end
    assert caller.get("/api/v1/offers").status_code == 401


# list


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_list_shows_neither_secrets_nor_digests(run: Run, options: list[str]) -> None:
    secret = require_done(run(*AUDITOR, "books")).strip()
    listed = require_done(run("tokens", "list", *options))
    assert "books" in listed
    assert secret not in listed
    assert digest_secret(secret) not in listed


def test_json_of_the_list_tells_all_but_the_secret(partnered: Run) -> None:
    partnered("tokens", "create", "--role", "partner", "--partner", "tidepool", "--name", "feed")
    item = partnered("tokens", "list", "--json").json["items"][0]
    assert list(item) == ["name", "role", "partner", "requestsPerMinute", "createdAt", "expiresAt", "revokedAt"]
    assert (item["name"], item["role"], item["partner"]) == ("feed", "partner", "tidepool")
    assert (item["expiresAt"], item["revokedAt"]) == (None, None)


def test_the_list_tells_the_state_of_each_token(run: Run) -> None:
    run(*AUDITOR, "books")
    run(*AUDITOR, "papers", "--expires-at", "2999-01-01T00:00:00Z")
    run(*AUDITOR, "scrolls")
    run("tokens", "revoke", "scrolls")
    books, papers, scrolls = require_done(run("tokens", "list")).splitlines()[1:]
    assert books.rstrip().endswith("in use")
    assert "until 2999-01-01T00:00:00.000000Z" in papers
    assert "revoked 20" in scrolls


def test_an_empty_list_says_how_to_create_a_token(run: Run) -> None:
    assert "offer-ledger tokens create" in require_done(run("tokens", "list"))


def test_an_empty_list_is_an_empty_list_in_json(run: Run) -> None:
    assert run("tokens", "list", "--json").json == {"items": []}


# revoke


def test_revoke_says_what_it_has_done(run: Run) -> None:
    run(*AUDITOR, "books")
    assert "books" in require_done(run("tokens", "revoke", "books"))
    assert run("tokens", "list", "--json").json["items"][0]["revokedAt"] is not None


def test_a_revoked_token_is_worth_nothing_from_the_next_request_on(run: Run, call: Call) -> None:
    caller = call(require_done(run(*AUDITOR, "books")).strip())
    assert caller.get("/api/v1/offers").status_code == 200
    run("tokens", "revoke", "books")
    assert caller.get("/api/v1/offers").status_code == 401


def test_a_token_that_is_not_there_cant_be_revoked(run: Run) -> None:
    require_refusal(run("tokens", "revoke", "books"), "books")


def test_a_token_cant_be_revoked_twice(run: Run) -> None:
    run(*AUDITOR, "books")
    run("tokens", "revoke", "books")
    require_refusal(run("tokens", "revoke", "books"), "books")
    assert position(run) == 2
