"""The mark on answers that leave while the witness is away: set where they are covered, shown where given.

A list of rows has no place for it, so it is given beside the rows: in a header over HTTP, on stderr in a
command.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

WORDS = "NOT WITNESSED: the witness is away"


class WitnessMark:
    """Whether anything covered since the watch began lacks the witness's signature."""

    def __init__(self) -> None:
        self.unwitnessed = False


_watch: ContextVar[WitnessMark | None] = ContextVar("mark", default=None)


@contextlib.contextmanager
def watching() -> Iterator[WitnessMark]:
    """The mark for what is covered during the block, in this context and the threads that it starts."""
    mark = WitnessMark()
    before = _watch.set(mark)
    try:
        yield mark
    finally:
        _watch.reset(before)


def mark_unwitnessed() -> None:
    """Set the mark, if there is a watcher."""
    mark = _watch.get()
    if mark is not None:
        mark.unwitnessed = True
