"""Every finding of `verify`, and every refusal of the uplink, receiver and guard, has a test that forges it.

The sites are read from the code, so a new finding or refusal whose words no test names fails here. The
desk's refusals have codes; tests/desk/test_refusals.py counts those.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_rooms import nodes_of, tree_of

ROOT = Path(__file__).resolve().parents[1]
SHORTEST = 6  # characters; shorter texts are not specific enough to name a site
GROUPS = {
    "verify": (
        ("storage/verify*.py", "storage/findings.py", "storage/opening.py"),
        ("tests/attacks/*.py", "tests/storage/*.py", "tests/faults/*.py"),
    ),
    "uplink": (("sync/uplink.py", "sync/handover.py", "sync/rollover.py"), ("tests/sync/*.py",)),
    "receiver": (
        ("sync/department/units/receiver.py", "sync/department/units/arrival.py"),
        ("tests/sync/*.py", "tests/desk/test_restored_keys.py"),
    ),
    "guard": (("sync/department/content/key_guard.py",), ("tests/desk/*.py",)),
}
EXEMPT = {
    "need() has raised": "cannot be reached: it tells the type checker so",
}


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the code that reports a finding or refuses; `words` are the fixed parts of its message."""

    where: str
    words: tuple[str, ...]

    def named_by(self, said: set[str]) -> bool:
        """Whether a string in a test is in the site's message, or contains one of its fixed parts."""
        return any(one in part or part in one for part in self.words for one in said)


def _texts(node: ast.AST) -> Iterator[str]:
    for one in nodes_of(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value.strip(" :,")


def sites(path: Path) -> Iterator[Site]:
    """The places in a module that add a finding, yield one, or raise an error with a message."""
    for node in nodes_of(tree_of(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            said: list[ast.expr] = [node.exc]
        elif isinstance(node, ast.Yield) and node.value is not None:
            said = [node.value]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "add"
            and "report" in ast.unparse(node.func.value)
        ):
            said = node.args[1:2]
        else:
            continue
        words = tuple(text for one in said for text in _texts(one) if len(text) >= SHORTEST and " " in text)
        if words and not EXEMPT.keys() & set(words):
            yield Site(f"{path.relative_to(ROOT)}:{node.lineno}", words)


def said_by_tests(patterns: tuple[str, ...]) -> set[str]:
    """The messages that tests expect: their strings of two or more words, except docstrings and ids."""
    found: set[str] = set()
    for path in (path for one in patterns for path in ROOT.glob(one)):
        tree = tree_of(path.read_text(encoding="utf-8"))
        for node in nodes_of(tree):
            if isinstance(node, ast.Expr | ast.keyword) and (
                (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
                or (isinstance(node, ast.keyword) and node.arg == "id")
            ):
                node.value = ast.Constant(None)
        found.update(text for text in _texts(tree) if len(text) >= SHORTEST and " " in text)
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_every_finding_and_refusal_is_named_by_a_test(group: str) -> None:
    modules, tests = GROUPS[group]
    there = [site for one in modules for path in sorted(ROOT.glob(one)) for site in sites(path)]
    assert there
    said = said_by_tests(tests)
    assert [(one.where, one.words) for one in there if not one.named_by(said)] == []
