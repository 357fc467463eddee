"""Runs chosen tests in a new child process each time: `python -m tests.tools.mutation.runner NOTED OUT DIR`.

NOTED is a JSON object: `files`, the test files to collect, and `modules`, what their tests import. They are
collected and imported once; each child is forked from there, puts its mutant into its functions and runs its
tests. Reads one JSON object a line: `tests`, each with the seconds that it may take, and `path` and `mutant`,
the name of one of that module (absent: the code as it is). Answers with one: `{"failed": true}`, or null for
a mutant that only a new import brings in. OUT holds what pytest printed last, DIR what the tests wrote.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, TextIO

import pytest

from tests.tools.mutation.changes import Mutant, mutants_of
from tests.tools.mutation.patching import Functions

PASSED, FAILED, NOT_HERE = 0, 1, 2


@functools.cache
def _mutants(path: str) -> dict[str, Mutant]:
    return {one.name: one for one in mutants_of(path, Path(path).read_text(encoding="utf-8"))}


class _Server:
    """A pytest plugin that answers requests where pytest would run what it collected."""

    def __init__(
        self, modules: list[str], requests: TextIO, answers: TextIO, output: Path, written: Path
    ) -> None:
        self._modules, self._requests, self._answers = modules, requests, answers
        self._output, self._written = output, written

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in self._modules:
                with contextlib.suppress(Exception):  # an optional part of a library
                    importlib.import_module(name)
        items, there = {one.nodeid: one for one in session.items}, Functions()
        for line in self._requests:
            asked = json.loads(line)
            mutant = _mutants(asked["path"])[asked["mutant"]] if "path" in asked else None
            chosen = [items[name] for name in asked["tests"]]
            child = os.fork()
            if child == 0:
                self._in_child(session, there, mutant, chosen, asked["tests"])
            _, status = os.waitpid(child, 0)
            _end_group(child)
            here = os.waitstatus_to_exitcode(status) != NOT_HERE
            print(json.dumps({"failed": status != 0 if here else None}), file=self._answers, flush=True)
        return True

    def _in_child(
        self,
        session: pytest.Session,
        there: Functions,
        mutant: Mutant | None,
        chosen: list[pytest.Item],
        longest_s: dict[str, int],
    ) -> None:
        """Run the tests and end this process with what came of them."""
        os.setsid()
        _print_to(self._output)
        folders: Any = session.config._tmp_path_factory  # type: ignore[attr-defined]
        folders._given_basetemp, folders._basetemp = self._written, None  # emptied at its first use
        if mutant is not None and not there.put(mutant, Path(mutant.path).resolve()):
            os._exit(NOT_HERE)
        with contextlib.suppress(BaseException):
            for at, item in enumerate(chosen):
                signal.alarm(longest_s[item.nodeid])  # its default action ends the process
                following = chosen[at + 1] if at + 1 < len(chosen) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    os._exit(FAILED)
            os._exit(PASSED)
        os._exit(FAILED)


def _print_to(output: Path) -> None:
    """What this process and its children print from here on; they read nothing."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor in (1, 2):
        os.dup2(printed, descriptor)


def _end_group(child: int) -> None:
    """End what a child left running: its own process group and nothing else."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def main() -> int:
    noted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    output, written = map(Path, sys.argv[2:])
    with os.fdopen(os.dup(0), encoding="utf-8") as requests, os.fdopen(os.dup(1), "w") as answers:
        _print_to(output)
        server = _Server(noted["modules"], requests, answers, output, written)
        words = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"]
        return int(pytest.main([*words, *noted["files"]], plugins=[server]))


if __name__ == "__main__":
    sys.exit(main())
