"""A mutant put into the functions of this process, so that nothing is imported and collected again for it.

What a module does as it is imported (constants, fields and their defaults) has run already and stays as it
was: such a mutant is for a fresh process.
"""

from __future__ import annotations

import ast
import gc
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tests.tools.mutation.changes import Mutant


class Functions:
    """The functions that are there now, by the file that they come from, and the caches about them."""

    def __init__(self) -> None:
        self._found: defaultdict[str, list[FunctionType]] = defaultdict(list)
        self._caches: defaultdict[str, list[Any]] = defaultdict(list)
        for one in gc.get_objects():
            if type(one) is FunctionType:
                self._found[one.__code__.co_filename].append(one)
            elif type(one).__name__ == "_lru_cache_wrapper" and type(one.__wrapped__) is FunctionType:
                self._caches[one.__wrapped__.__code__.co_filename].append(one)

    def put(self, mutant: Mutant, path: Path) -> bool:
        """Whether all that differs is now in place; `path`: the module's file."""
        file = str(path)
        old, new = (
            dict(_codes(compile(tree, file, "exec", dont_inherit=True)))
            for tree in (ast.parse(mutant.text), mutant.tree)
        )
        differ = [at for at in old if at not in new or _own(old[at]) != _own(new[at])]
        outermost = {name.partition(".<locals>")[0] for name, _ in differ}
        for name in outermost:
            there = [one for one in self._found[file] if one.__code__.co_qualname == name]
            codes = [new.get((name, one.__code__.co_firstlineno)) for one in there]
            if not there or any(
                code is None or code.co_freevars != one.__code__.co_freevars
                for code, one in zip(codes, there, strict=True)
            ):
                return False
            for code, one in zip(codes, there, strict=True):
                assert code is not None
                one.__code__ = code
        for cache in self._caches[file]:
            cache.cache_clear()
        return True


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    """((qualified name, first line), code) of a module's code and all within it."""
    yield (code.co_qualname, code.co_firstlineno), code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _own(code: CodeType) -> tuple[object, ...]:
    """What a code does itself, without the codes within it; True and 1 differ."""
    own = tuple((type(one), one) for one in code.co_consts if not isinstance(one, CodeType))
    return code.co_code, own, code.co_names, code.co_varnames
