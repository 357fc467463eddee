"""The order of the tests, what a short run leaves out, and which rows of a table a second Python runs."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator

import pytest

OPTION = "--first-rows"
SHORT = "--short"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--short` and `--first-rows`."""
    parser.addoption(
        SHORT,
        action="store_true",
        help="leave out what is marked thorough, and of thorough_rows the rows that the mark does not keep",
    )
    parser.addoption(
        OPTION,
        action="store_true",
        help="of each table of cases run the first alone: they differ in data, not in what Python does",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without garbage collection: the millions of objects made here all stay."""
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
        os.close(place)  # releases the lock too


def pytest_collection_finish() -> None:
    """Exempt the objects of collection from later garbage collection."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start files with slow tests first: started last, one would keep one core busy and leave others idle."""
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
    """The tests that are not marked thorough; of a table marked thorough_rows, what its mark keeps."""
    rows: Counter[str] = Counter()
    for item in items:
        name, _, row = item.nodeid.removesuffix("]").partition("[")
        table = item.get_closest_marker("thorough_rows")
        thorough = item.get_closest_marker("thorough") is not None
        if not thorough and (table is None or keeps(row, rows[name], *table.args, **table.kwargs)):
            yield item
        rows[name] += 1


def keeps(row: str, number: int, *names: str, every: int = 0) -> bool:
    """Whether a mark `thorough_rows("a name", every=8)` keeps a row, counted from 0."""
    return number == 0 or row in names or (every > 0 and number % every == 0)


def first_rows(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """The first row of each parametrized test, and every other test."""
    seen: set[str] = set()
    for item in items:
        name = item.nodeid.partition("[")[0]
        if name not in seen:
            seen.add(name)
            yield item
