"""Logs events of one kind once a minute with their count, so that a flood of them is one line."""

from __future__ import annotations

import errno
import logging
import time
from collections import Counter
from collections.abc import Callable

import structlog

from storage.errors import causes_of

EVENT_S = 60.0
MAX_CAUSES = 5


def kinds_behind(error: BaseException) -> str:
    """The types of an error and its causes, the first cause last. Never messages, which may hold content."""
    kinds: list[str] = []
    for behind in causes_of(error)[:MAX_CAUSES]:
        number = behind.errno if isinstance(behind, OSError) else None
        name = errno.errorcode.get(number, "") if number is not None else ""
        kinds.append(f"{type(behind).__name__} {name}".rstrip())
    return ": ".join(kinds)


class Sparingly:
    """Writes events to a logger, each kind once a minute."""

    def __init__(
        self, logger: str = "department.server", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._events = structlog.get_logger(logger)
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._logged_s: dict[str, float] = {}

    def report(self, event: str, **facts: object) -> bool:
        """Count an event, and log it if a minute has passed since the last; returns whether it was logged."""
        self._counts[event] += 1
        now = self._clock()
        if now - self._logged_s.get(event, -EVENT_S) < EVENT_S:
            return False
        self._logged_s[event] = now
        self._events.warning(event, times=self._counts.pop(event), **facts)
        return True


class SparingHandler(logging.Handler):
    """Turns a library's `logging` records into one event a minute per level, without their text."""

    def __init__(self, events: Sparingly) -> None:
        super().__init__(logging.WARNING)
        self._events_of = events

    def emit(self, record: logging.LogRecord) -> None:
        """Report that there was a record."""
        self._events_of.report(f"{record.name}_{record.levelname.lower()}", where=record.module)
