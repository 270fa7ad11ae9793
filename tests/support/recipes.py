"""Applies the code blocks of a recipe page to a copy of the project.

A page has two kinds of blocks that change files, each after a line that names the file in backticks:

- a `diff` block: its lines with ` ` and `-` occur in the file exactly once; they are replaced by its lines with ` ` and `+`
- any other block after a line that starts with "New file": the whole text of a new file
"""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COPIED = ("domain", "projections", "api", "tests", "docs", "examples", "benchmarks")
BLOCK = re.compile(
    r"^(?P<lead>[^\n]*`(?P<path>[\w./-]+)`[^\n]*:)\n\n```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Edit(NamedTuple):
    """One block: `before` is None for a new file."""

    path: str
    before: str | None
    after: str


def edits_of(page: Path) -> list[Edit]:
    return [_edit(block) for block in BLOCK.finditer(page.read_text())]


def _edit(block: re.Match[str]) -> Edit:
    text = block["text"]
    if block["language"] != "diff":
        assert block["lead"].startswith("New file"), f"{block['lead']}: not a diff, and not a new file"
        return Edit(block["path"], None, text)
    lines = text.splitlines(keepends=True)
    assert all(line[0] in " +-\n" for line in lines), f"{block['path']}: a line of a diff starts with a blank, + or -"
    return Edit(
        block["path"],
        "".join(line[1:] or line for line in lines if line[0] != "+"),
        "".join(line[1:] or line for line in lines if line[0] != "-"),
    )


def copy_project(folder: Path) -> Path:
    """Copies what tests need into a new folder."""
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "*.gz")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def apply(edit: Edit, folder: Path) -> None:
    path = folder / edit.path
    if edit.before is None:
        assert not path.exists(), f"{edit.path}: is not a new file"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit.after)
        return
    text = path.read_text()
    assert text.count(edit.before) == 1, (
        f"{edit.path}: these lines occur in it {text.count(edit.before)} times:\n{edit.before}"
    )
    path.write_text(text.replace(edit.before, edit.after))
