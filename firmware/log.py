"""Structured events on stderr. A plate never gets into one: keys that could carry it are withheld by name.

A stderr that nobody takes any more ends nothing: no thread dies of telling what went wrong.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from firmware.lasting_stream import lasting

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


def events_to_stderr() -> None:
    """Events of the rooms below (the uplink's) go where ours go, withheld alike; stdout is for results."""
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
    """A logger of its own, no global set-up: JSON lines, or plain ones on a terminal."""
    stream = lasting(sys.stderr if stream is None else stream)
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        processors=_processors(stream),
    )
    return logger
