"""Structured events on stderr. A plate never gets into one: keys that could carry it are withheld by name."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

WITHHELD = "(withheld)"
_NEVER = frozenset({"plate", "text", "candidates", "slots", "reading", "patch", "overview", "query"})
_PLAIN = (bool, int, float, str, type(None))


def withhold_plates(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: plate-bearing keys are withheld, objects appear as their type's name."""
    for key, value in event.items():
        if key in _NEVER:
            event[key] = WITHHELD
        elif not isinstance(value, _PLAIN):
            event[key] = f"({type(value).__name__})"
    return event


def event_log(stream: TextIO | None = None) -> structlog.typing.FilteringBoundLogger:
    """A logger of its own, no global set-up: JSON lines, or plain ones on a terminal."""
    stream = sys.stderr if stream is None else stream
    renderer: Any = structlog.processors.JSONRenderer()
    if stream.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        processors=[
            structlog.processors.add_log_level,
            withhold_plates,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
    )
    return logger
