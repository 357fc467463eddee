"""The mark on an answer that left while the witness was away: set where it is covered, shown where answered.

A list of rows has no place for it, so it goes beside: in a header over HTTP, on stderr in a command.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

WORDS = "NOT WITNESSED: the witness is away"


class WitnessMark:
    """Whether something that was covered since the watch began lacks the witness's signature."""

    def __init__(self) -> None:
        self.unwitnessed = False


_watch: ContextVar[WitnessMark | None] = ContextVar("mark", default=None)


@contextlib.contextmanager
def watching() -> Iterator[WitnessMark]:
    """The mark of what is covered inside, in this context and in threads that it starts."""
    mark = WitnessMark()
    before = _watch.set(mark)
    try:
        yield mark
    finally:
        _watch.reset(before)


def mark_unwitnessed() -> None:
    """Notifies the watcher."""
    mark = _watch.get()
    if mark is not None:
        mark.unwitnessed = True
