"""Help and completion start fast: they import no module that only a running command needs."""

import subprocess
import sys

from tests.docs.test_pages import COMMANDS

# typer imports pydantic.
HEAVY = {"fastapi", "starlette", "pydantic_settings", "uvicorn", "eventsourcing", "psycopg", "limits", "redis"}
HEAVY |= {
    "cryptography",
    "jinja2",
    "rich",
    "apsw",
    "sqlite3",
    "asyncio",
    "projections.projector",
    "api.cli.actions",
    "api.wiring",
    "api.http",
}
SHOW_HELP = """
import sys
from io import StringIO
from api.cli.main import main

for words in [[], *(line.split() for line in sys.stdin.read().splitlines())]:
    sys.argv = ["offer-ledger", *words, "--help"]
    printed, sys.stdout = sys.stdout, StringIO()
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, words
    finally:
        printed, sys.stdout = sys.stdout, printed
    assert "Usage:" in printed.getvalue(), words
print("\\n".join(sys.modules))
"""


def test_help_of_no_command_imports_a_heavy_module() -> None:
    lines = "\n".join(name.removeprefix("offer-ledger ") for name in COMMANDS)
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_HELP], input=lines, capture_output=True, text=True, check=False, timeout=60
    )
    assert shown.returncode == 0, shown.stderr
    loaded = set(shown.stdout.split())
    assert "api.cli.main" in loaded
    assert HEAVY & loaded == set()
