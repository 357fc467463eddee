"""One-line faults: every mutant of a module, by a change of its syntax tree.

A comparison turned, an operand of `and`/`or` dropped, a condition negated, an integer raised by one, a bool
exchanged, `+` and `-` exchanged, a raise or a call left out.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One changed statement: `changed` in the place of node `number` of `text`'s syntax tree.

    `lines` (1-based) run when it runs.
    """

    path: str
    function: str  # the qualified name of what holds it; "" at the top of the module
    what: str
    text: str
    number: int
    changed: ast.AST
    line: int
    lines: range

    @property
    def tree(self) -> ast.Module:
        """The whole module with it, each line where it was."""
        tree = ast.parse(self.text)
        _put(tree, next(islice(ast.walk(tree), self.number, None)), self.changed)
        return ast.fix_missing_locations(tree)

    @property
    def source(self) -> str:
        """The same as text."""
        return ast.unparse(self.tree)

    @property
    def name(self) -> str:
        """Its name in the list of equivalent mutants; it has no line number, which every edit would move."""
        return f"{self.path} {self.function or '-'}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node is: its enclosing function and statement."""

    function: str
    lines: range


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Every mutant of a module, in the order of the syntax tree; each name is unique."""
    lines, parsed = text.splitlines(), ast.parse(text)
    places = dict(_places(parsed))
    seen: Counter[str] = Counter()
    found: list[Mutant] = []
    for number, node in enumerate(ast.walk(parsed)):
        if id(node) not in places:
            continue
        place = places[id(node)]
        for what, changed in _changes(node):
            line = getattr(node, "lineno", place.lines.start)
            shown = f"{what}: {' '.join(lines[line - 1].split())}"
            seen[f"{place.function} {shown}"] += 1
            times = seen[f"{place.function} {shown}"]
            found.append(
                Mutant(
                    path=path,
                    function=place.function,
                    what=shown if times == 1 else f"{shown} ({times})",
                    text=text,
                    number=number,
                    changed=changed,
                    line=line,
                    lines=place.lines,
                )
            )
    return found


def _places(parsed: ast.Module) -> Iterator[tuple[int, _Place]]:
    """(id of the node, its place) of every node that may be changed: none in a decorator or annotation."""

    def walk(node: ast.AST, function: str, lines: range) -> Iterator[tuple[int, _Place]]:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            lines = range(node.lineno, max(end, node.lineno) + 1)
        yield id(node), _Place(function, lines)
        for name, value in ast.iter_fields(node):
            if name in {"decorator_list", "annotation", "returns"}:
                continue  # frozen, slots and types are the type checker's to guard
            inner = function
            if name == "body" and isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                inner = f"{function}.{node.name}".lstrip(".")
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    yield from walk(part, inner, lines)

    yield from walk(parsed, "", range(1, 2))


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(how, the node instead) of one node; a changed node is a copy."""
    if isinstance(node, ast.Compare):
        for at, one in enumerate(node.ops):
            turned = copy.deepcopy(node)
            turned.ops[at] = _TURNED[type(one)]()
            yield f"{type(one).__name__} to {_TURNED[type(one)].__name__}", turned
    elif isinstance(node, ast.BoolOp):
        for at in range(len(node.values)):
            left = copy.deepcopy(node)
            del left.values[at]
            yield f"operand {at + 1} dropped", left.values[0] if len(left.values) == 1 else left
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        other = copy.deepcopy(node)
        other.test = ast.UnaryOp(ast.Not(), other.test)
        yield "condition negated", other
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"{node.value} to {node.value + 1}", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"{node.value} to {not node.value}", ast.Constant(not node.value)
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "left out", ast.Pass()
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        moved = copy.deepcopy(node)
        moved.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "+ and - exchanged", moved


def _put(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    """Put a node in the place of another."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, ast.copy_location(new, old))
                return
            if isinstance(value, list):
                for at, one in enumerate(value):
                    if one is old:
                        value[at] = ast.copy_location(new, old)
                        return
