"""Counts texts that break the style guide (docs/contributing/style.md), per package and per page.

`python -m tests.support.plain_english PATH...` lists what it finds in files or folders; `--write` stores the present counts in
`tests/plain_english.json`, the ratchet that `tests/test_plain_english.py` compares with.
"""

import ast
import io
import json
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RATCHET = ROOT / "tests" / "plain_english.json"
FOLDERS = ("domain", "projections", "api", "tests", "benchmarks", "docs", "examples")
MAX_SENTENCE_WORDS = 30
MAX_TEST_NAME_WORDS = 10

FIRST_WORDS = re.compile(
    r"(What|Who|Whose|Whom|Which|How|Where|When|Whether|Why|May|Is|Are|Does|Do|Can|Of|By|For|Those|The same|As if|If)\b"
)
RIDDLES = re.compile(
    r"\b(whoever|whatever is|nobody (who|that|else)|somebody|everybody|who (asks|stands|has lost|comes|waits|looks|is)|stands? still"
    r"|stands? (in|there|beside|behind|before)|(is|are|was|were|be|been) (told|begun|asked|looked)|tells? (what|whether|how|of)"
    r"|in other hands|letter by letter|to the letter|what is asked|the same again|by itself|a way there|is in order|not in order"
    r"|what there is|taken down|takes down|carr(y|ies|ied) out|anew|once more)\b",
    re.IGNORECASE,
)


class Finding(NamedTuple):
    """One text that breaks a rule: `rule` is a key of the ratchet."""

    path: Path
    line: int
    rule: str
    text: str


def findings_in(path: Path) -> Iterator[Finding]:
    text = path.read_text()
    if path.suffix == ".py":
        yield from _in_python(path, text)
    elif path.suffix == ".md":
        yield from _in_prose(path, text)


def _in_python(path: Path, text: str) -> Iterator[Finding]:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _in_docstring(path, node)
        if isinstance(node, ast.FunctionDef) and re.match(rf"test(_[^_]+){{{MAX_TEST_NAME_WORDS + 1}}}", node.name):
            yield Finding(path, node.lineno, "test names over 10 words", node.name)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := RIDDLES.search(node.value)):
            yield Finding(path, node.lineno, "listed phrases", _around(node.value, found))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (found := RIDDLES.search(token.string)):
            yield Finding(path, token.start[0], "listed phrases", _around(token.string, found))


def _in_docstring(
    path: Path, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[Finding]:
    docstring = ast.get_docstring(node)
    if docstring is None:
        return
    line = 1 if isinstance(node, ast.Module) else node.lineno
    first = docstring.split("\n\n")[0]
    if isinstance(node, ast.Module) and first.rstrip().endswith("?"):
        yield Finding(path, line, "module docstrings that ask", first)
    elif FIRST_WORDS.match(docstring):
        yield Finding(path, line, "docstrings with a listed first word", first)
    for sentence in _sentences(docstring):
        if len(sentence.split()) > MAX_SENTENCE_WORDS:
            yield Finding(path, line, "sentences over 30 words", sentence)


def _in_prose(path: Path, text: str) -> Iterator[Finding]:
    prose = re.sub(r"^(```|~~~).*?^\1", lambda code: "\n" * code[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    paragraph: list[str] = []
    for number, line in enumerate([*prose.splitlines(), ""], 1):
        is_apart = (
            not line.strip() or line.lstrip().startswith(("|", "#", "- ", "* ", ">")) or re.match(r"\s*\d+\. ", line)
        )
        if is_apart and paragraph:
            yield from _long_sentences(path, number - len(paragraph), " ".join(paragraph))
            paragraph = []
        if line.lstrip().startswith("|"):
            for cell in line.split("|"):
                yield from _long_sentences(path, number, cell)
        elif line.strip() and not line.startswith("#"):
            paragraph.append(line.strip())
        if path.name != "style.md" and (found := RIDDLES.search(line)):
            yield Finding(path, number, "listed phrases", _around(line, found))


def _long_sentences(path: Path, line: int, text: str) -> Iterator[Finding]:
    for sentence in _sentences(text):
        if len(sentence.split()) > MAX_SENTENCE_WORDS:
            yield Finding(path, line, "sentences over 30 words", sentence)


def _sentences(text: str) -> list[str]:
    plain = re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "]", text))
    return re.split(r"(?<=[.!?:;])\s+|\n\n|\n(?=[-*] )", plain)


def _around(text: str, found: re.Match[str]) -> str:
    return " ".join(text[max(found.start() - 50, 0) : found.end() + 50].split())


def files(places: list[str]) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from [path] if path.is_file() else sorted(found for found in path.rglob("*.*") if _counts(found))


def _counts(path: Path) -> bool:
    return path.suffix in {".py", ".md"} and not {"node_modules", "__pycache__"} & set(path.parts)


def measure() -> dict[str, dict[str, int]]:
    """Returns how many findings there are, by rule and by package or page; without those that have none."""
    counts: dict[str, Counter[str]] = {}
    for path in files([*FOLDERS, *(page.name for page in sorted(ROOT.glob("*.md")))]):
        name = path.relative_to(ROOT)
        group = str(name if path.suffix == ".md" else name.parent)
        for finding in findings_in(path):
            counts.setdefault(finding.rule, Counter())[group] += 1
    return {rule: dict(sorted(groups.items())) for rule, groups in sorted(counts.items())}


def main() -> None:
    if "--write" in sys.argv:
        RATCHET.write_text(json.dumps(measure(), indent=2) + "\n")
    elif sys.argv[1:]:
        for finding in (finding for path in files(sys.argv[1:]) for finding in findings_in(path)):
            print(f"{finding.path.relative_to(ROOT)}:{finding.line}: {finding.rule}: {finding.text[:160]}")
    else:
        for rule, groups in measure().items():
            print(f"{sum(groups.values()):6} {rule}")


if __name__ == "__main__":
    main()
