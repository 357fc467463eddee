"""Structured events on stderr, for both programs.

The content of a read (plate, state, place, time, direction) and secrets never get into an event: keys that
could carry them are withheld by name. A closed stderr ends no thread that reports an error.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from sync.lasting_stream import lasting

WITHHELD = "(withheld)"
_NEVER = frozenset(
    {
        *("plate", "plates", "text", "candidates", "slots", "reading", "patch", "overview", "query"),
        *("jurisdiction", "place", "position", "latitude", "longitude", "area", "direction"),
        *("first_us", "last_us", "letter", "password", "totp", "token", "secret"),
    }
)
_PLAIN = (bool, int, float, str, type(None))


def withhold_plates(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that withholds keys that could carry a read or a secret."""
    for key, value in event.items():
        if key in _NEVER:
            event[key] = WITHHELD
        elif not isinstance(value, _PLAIN):
            event[key] = f"({type(value).__name__})"
    return event


def events_to_stderr() -> None:
    """Send every room's events to the current stderr, with the same keys withheld; stdout is for results."""
    structlog.configure(
        logger_factory=lambda *_names: structlog.PrintLogger(lasting(sys.stderr)),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        processors=_processors(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _processors(stream: TextIO) -> list[Any]:
    renderer: Any = structlog.processors.JSONRenderer()
    if stream.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    return [
        structlog.processors.add_log_level,
        withhold_plates,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        renderer,
    ]


def event_log(stream: TextIO | None = None) -> structlog.typing.FilteringBoundLogger:
    """A separate logger without global setup: JSON lines, or plain lines on a terminal."""
    stream = lasting(sys.stderr if stream is None else stream)
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        processors=_processors(stream),
    )
    return logger
