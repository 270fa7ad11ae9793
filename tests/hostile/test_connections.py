"""Clients without a token hold every connection that the server can have, and the others are answered."""

import re

import pytest

from tests.hostile.attacks.registry import ATTACKS
from tests.hostile.conftest import Serve
from tests.support.hostile.attack import run_attack
from tests.support.hostile.others import READ, WRITE, watch_others

OPEN_FILES, RESERVED = 220, 80
"""The server can have 140 connections, and the attack opens 210."""


@pytest.mark.parametrize("name", ["idle connections", "slow heads"])
def test_partner_writes_while_others_hold_every_connection(serve: Serve, name: str) -> None:
    settings = {"RESERVED_DESCRIPTORS": str(RESERVED), "MAX_HEAD_SECONDS": "60"}
    with serve(open_files=OPEN_FILES, size=0.2, **settings) as target, watch_others(target) as others:
        report = run_attack(ATTACKS[name], target, others, seconds=2)
        log = target.log.read_text()
    # A call without a token may be cut off. Its connection is closed like those of the attack.
    assert [failure for failure in report.failures if failure.startswith((READ, WRITE))] == []
    assert report.answered[READ]
    assert report.answered[WRITE]
    assert "Traceback" not in log
    # One line at the first, and at most one a minute.
    assert re.findall(r"closed (\d+) connections to make room for new ones: all (\d+) were", log) == [("1", "140")]
