"""Runs chosen tests in a fresh child process each time: `python -m tests.tools.mutation.runner FILE OUT DIR`.

Reads one JSON object a line, each test with the seconds that it may take (`{"tests/test_a.py::test_b": 60}`),
and answers with one: `{"failed": true}`. OUT holds what pytest printed last, DIR what the tests wrote. The
libraries named in FILE are imported once; each child is forked from there and imports our own modules, so
that the import of libraries is paid once and not for each mutant.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import warnings
from pathlib import Path

IMPORT_S = 120


class _Watch:
    """A pytest plugin that ends the process, by its alarm, where a test hangs."""

    def __init__(self, longest_s: dict[str, int]) -> None:
        self.longest_s = longest_s

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        signal.alarm(self.longest_s.get(nodeid, max(self.longest_s.values())))


def _in_child(longest_s: dict[str, int], output: Path, written: Path) -> None:
    """Run pytest and end this process with its exit status."""
    import pytest

    os.setsid()
    signal.alarm(IMPORT_S)  # its default action ends the process
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor in (1, 2):
        os.dup2(printed, descriptor)
    sys.dont_write_bytecode = True  # a mutant's size and second may be those of the one before
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # what was imported before the fork is a plugin's too, and every warning is an error here
    words = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider", "-p", "no:xdist"]
    # the folder is emptied each time: no child ends by its exit handlers, which would tidy up
    words += ["--basetemp", str(written)]
    os._exit(int(pytest.main(["-x", "-q", "--no-header", *words, *longest_s], plugins=[_Watch(longest_s)])))


def failed(longest_s: dict[str, int], output: Path, written: Path) -> bool:
    """Whether a test failed, or took longer than it may."""
    child = os.fork()
    if child == 0:
        _in_child(longest_s, output, written)
    _, status = os.waitpid(child, 0)
    _end_group(child)
    return status != 0


def _end_group(child: int) -> None:
    """End what a child left running: its own process group and nothing else."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
            with contextlib.suppress(Exception):  # an optional part of a library
                importlib.import_module(name)
    output, written = map(Path, sys.argv[2:])
    for line in sys.stdin:
        print(json.dumps({"failed": failed(json.loads(line), output, written)}), flush=True)


if __name__ == "__main__":
    main()
