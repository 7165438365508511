"""Every line that tells a user's mistake stands, by its own words, in a test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("threestudio", "custom/threestudio-cascade-zero123", "studies", "scripts")
WORDS = 3  # in a row, of the message's own, that a test has to quote; fewer where there are fewer


def raised() -> Iterator[tuple[str, list[str]]]:
    """Where each `raise UserError(...)` stands, and the literal parts of its text."""
    for source in SOURCES:
        for file in sorted((ROOT / source).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                call = node.exc if isinstance(node, ast.Raise) else None
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "UserError":
                    parts = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant)]
                    yield str(file.relative_to(ROOT)), [part for part in parts if isinstance(part, str)]


def quotes(part: str) -> set[str]:
    """What a test may quote of a literal part: any few words in a row, within one clause."""
    found = set()
    for clause in re.split(r"[:;,()]\s*", part):
        words = clause.split()
        if sum(len(word) for word in words) >= 8:
            size = min(WORDS, len(words))
            found |= {" ".join(words[start : start + size]) for start in range(len(words) - size + 1)}
    return found


def test_every_user_error_is_quoted_by_a_test():
    files = (file for file in sorted((ROOT / "tests").rglob("*.py")) if file != Path(__file__))
    tests = "\n".join(file.read_text(encoding="utf-8") for file in files)
    tests = re.sub(r"\\(?=[^\w\s])", "", tests)  # regular expressions quote with backslashes
    unquoted = set()
    for file, parts in raised():
        own = set().union(*map(quotes, parts))
        if own and not any(quote in tests for quote in own):
            unquoted.add((file, max(parts, key=len).strip(" :;,")))
    assert not unquoted, sorted(unquoted)
