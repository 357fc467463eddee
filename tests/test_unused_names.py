"""Every name that a module of the product defines is used somewhere: there is no dead code.

A name is used if any module, test or page template mentions it outside its own definition. A decorated
function is used by its decorator (a command, an event handler); Alembic reads the names in a migration, and
Hatch those in the build hook.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_rooms import nodes_of, tree_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("firmware/", "detector/", "storage/", "sync/", "hw/", "image-build/")
CALLED_FROM_OUTSIDE = ("sync/department/store/migrations/", "image-build/wheels/extras.py")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def listed() -> tuple[str, ...]:
    """The tracked files that can mention a name."""
    patterns = ["*.py", "*.html", "*.toml", "*.sh", "Makefile"]
    found = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(name for name in found.stdout.split() if (ROOT / name).exists())


def uses(tree: ast.Module) -> Counter[str]:
    """How often a module mentions each identifier: in code, in type strings and in tables of names."""
    found: Counter[str] = Counter()
    for node in nodes_of(tree):
        if isinstance(node, ast.Name):
            found[node.id] += isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Attribute):
            found[node.attr] += 1
        elif isinstance(node, ast.alias):
            found[node.name.rpartition(".")[2]] += 1
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            found.update(WORD.findall(node.value))
    return found


def defined(tree: ast.Module) -> Iterator[str]:
    """The functions, classes and constants that a module defines at its top level."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    for node in tree.body:
        if isinstance(node, ast.ClassDef) or (isinstance(node, functions) and not node.decorator_list):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_every_name_of_the_product_is_used() -> None:
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in listed()}
    used: Counter[str] = Counter()
    names: list[tuple[str, str]] = []
    for path, text in texts.items():
        if not path.endswith(".py"):
            used.update(WORD.findall(text))
        elif path.startswith(PRODUCT):
            tree = tree_of(text)
            used.update(uses(tree))
            if not path.startswith(CALLED_FROM_OUTSIDE):
                names += [(path, name) for name in defined(tree) if not name.startswith("__")]
    left = {name for _, name in names if not used[name]}
    for path, text in texts.items():  # parse the rest only if they contain a name that is still unused
        if path.endswith(".py") and not path.startswith(PRODUCT) and not left.isdisjoint(WORD.findall(text)):
            used.update(uses(tree_of(text)))
    assert [f"{path}: {name}" for path, name in names if not used[name]] == []
