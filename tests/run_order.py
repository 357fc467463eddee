"""Which tests come first, which a short run leaves out, and which of a table a second Python runs."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import sys
from collections.abc import Generator, Iterable, Iterator

import pytest

OPTION = "--first-rows"
SHORT = "--short"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption(
        SHORT,
        action="store_true",
        help="leave out what is marked thorough, and of thorough_rows all rows but the first",
    )
    parser.addoption(
        OPTION,
        action="store_true",
        help="of each table of cases run the first alone: they differ in data, not in what Python does",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage meanwhile: what is collected stays, and grows by millions of objects."""
    gc.disable()
    try:
        with _first_process_alone():
            return (yield)
    finally:
        gc.enable()


@contextlib.contextmanager
def _first_process_alone() -> Iterator[None]:
    """Let one process compile the modules of a fresh checkout; the others then load what it compiled."""
    place = os.open(sys.prefix, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(place, fcntl.LOCK_SH)
        yield
    finally:
        os.close(place)  # and the lock with it


def pytest_collection_finish() -> None:
    """... and pass over all of it later."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start files with slow tests first: at the end one keeps one core busy and leaves the others idle."""
    kept = list(items)
    if config.getoption(SHORT):
        kept = list(short_run(kept))
    if config.getoption(OPTION):
        kept = list(first_rows(kept))
    config.hook.pytest_deselected(items=sorted(set(items) - set(kept), key=lambda item: item.nodeid))
    items[:] = kept
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow)


def short_run(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """What is not marked thorough, and of each table marked thorough_rows the first."""
    ordered = list(items)
    first = set(first_rows(ordered))
    for item in ordered:
        marked = {mark.name for mark in item.iter_markers()}
        if "thorough" not in marked and ("thorough_rows" not in marked or item in first):
            yield item


def first_rows(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """The first of those that one test function makes of a table."""
    seen: set[str] = set()
    for item in items:
        name = item.nodeid.partition("[")[0]
        if name not in seen:
            seen.add(name)
            yield item
