"""A ratchet for plain English: the counts of texts that break the style guide may only fall."""

import json
from pathlib import Path

from tests.support.plain_english import RATCHET, findings_in, measure


def test_counts_only_fall() -> None:
    stored, present = json.loads(RATCHET.read_text()), measure()
    grown = {
        (rule, group): f"{stored.get(rule, {}).get(group, 0)} -> {count}"
        for rule, groups in present.items()
        for group, count in groups.items()
        if count > stored.get(rule, {}).get(group, 0)
    }
    assert grown == {}, "Rewrite the new texts: python -m tests.support.plain_english PATH lists them"
    assert present == stored, "The counts have fallen. Store them: python -m tests.support.plain_english --write"


def test_findings_name_each_broken_rule(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""What is it?"""\n\n\n'
        "def test_a_b_c_d_e_f_g_h_i_j_k() -> None:\n"
        '    """Of one that whoever asks is told."""\n\n\n'
        "def plain() -> None:\n"
        f'    """Returns {"very " * 30}much."""\n'
    )
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n" + "word " * 31 + "end.\n\n```sh\nwhoever\n```\n")
    assert sorted(finding.rule for path in (module, page) for finding in findings_in(path)) == [
        "docstrings with a listed first word",
        "listed phrases",
        "module docstrings that ask",
        "sentences over 30 words",
        "sentences over 30 words",
        "test names over 10 words",
    ]
