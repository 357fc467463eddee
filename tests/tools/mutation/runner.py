"""Runs chosen tests in a fresh child process, again and again: `python -m tests.tools.mutation.runner FILE`.

Reads one JSON object a line, `{"tests": [...], "timeout_s": 60}`, and answers with one: `{"failed": true}`.
The libraries named in FILE are imported once; each child is forked from there and imports our own modules,
so that the import of libraries is paid once and not for each mutant.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path


def _in_child(tests: list[str]) -> None:
    """Run pytest and end this process with its exit status."""
    import pytest

    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.dont_write_bytecode = True  # a mutant's size and second may be those of the one before
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # what was imported before the fork is a plugin's too, and every warning is an error here
    words = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider", "-p", "no:xdist"]
    os._exit(int(pytest.main(["-x", "-q", "--no-header", *words, *tests])))


def failed(tests: list[str], timeout_s: float) -> bool:
    """Whether a test failed, or the run took longer than `timeout_s`."""
    child = os.fork()
    if child == 0:
        _in_child(tests)
    ends = time.monotonic() + timeout_s
    while time.monotonic() < ends:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _end_group(child)
            return status != 0
        time.sleep(0.02)
    _end_group(child)
    os.waitpid(child, 0)
    return True


def _end_group(child: int) -> None:
    """End what a child left running: its own process group and nothing else."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["libraries"]:
            with contextlib.suppress(Exception):  # an optional part of a library
                importlib.import_module(name)
    for line in sys.stdin:
        ask = json.loads(line)
        print(json.dumps({"failed": failed(ask["tests"], ask["timeout_s"])}), flush=True)


if __name__ == "__main__":
    main()
