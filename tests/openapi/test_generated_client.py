"""A client that openapi-python-client generates from the document gets typed replies from the real server."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from domain.values import Role
from tests.openapi.tools import skip_or_fail_without
from tests.support.calls.tour import SAMPLES
from tests.support.generated_pages import ROOT
from tests.support.harness import MakeToken

ENVIRONMENT = ROOT / "build" / "client-venv" / "bin"
GENERATOR = ENVIRONMENT / "openapi-python-client"
OPTIONS: list[str | Path] = ["--path", ROOT / "openapi.json", "--meta", "none", "--output-path"]
NOT_GENERATED = ["POST /api/v1/activations/batch"]
"""The generator has no bodies of several lines."""


def run(*command: str | Path, **environment: str) -> str:
    """Runs a program of the client's environment, and returns its output."""
    search = os.environ | {"PATH": f"{ENVIRONMENT}:{os.environ['PATH']}"} | environment
    done = subprocess.run(command, env=search, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def package(tmp_path: Path) -> tuple[Path, str]:
    """Generates the client. Returns the folder of its package, and the messages of the generator."""
    if not GENERATOR.exists():
        skip_or_fail_without("openapi-python-client", "client")
    return tmp_path, run(GENERATOR, "generate", *OPTIONS, tmp_path / "offer_client")


@pytest.mark.long
def test_generated_client_gets_typed_replies(package: tuple[Path, str], address: str, token: MakeToken) -> None:
    folder, messages = package
    assert re.findall(r"WARNING parsing (\S+ \S+)", messages) == NOT_GENERATED
    secrets = token(), token(Role.PUBLISHER)
    script = Path(__file__).with_name("use_client.py")
    printed = run(ENVIRONMENT / "python", script, address, *secrets, SAMPLES, PYTHONPATH=str(folder))
    assert json.loads(printed) == {
        "created": [2, ["TP-1001", "TP-2002"]],
        "refused": ["forbidden", False],
        "accepted": [202, "Request accepted for processing"],
        "mismatch": ["validation-error", 400, "/offerId"],
        "activation": ["C-1001", False, 45],
        "status": "active",
    }
