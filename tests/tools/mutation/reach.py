"""A pytest plugin that notes which tests run which lines: `-p tests.tools.mutation.reach`.

MUTATION_MODULES names the modules (absolute paths, one a line), MUTATION_REACH the JSON file to write:
`lines`: path -> line -> tests; `seconds`: test -> seconds; `modules`: what the tests import.
A line that runs in a fixture's set-up counts for the whole test file, since the fixture may serve all of it;
one that runs on import counts for every test. Lines that only another process runs are not seen.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

_watched = frozenset(os.environ["MUTATION_MODULES"].splitlines())
_reached: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
_seconds: defaultdict[str, float] = defaultdict(float)
_now = ""  # the running test, its file while a fixture is set up, "" on import


def _trace(frame: FrameType, event: str, arg: Any) -> Any:
    if frame.f_code.co_filename not in _watched:
        return None
    _reached[frame.f_code.co_filename, frame.f_lineno].add(_now)
    return _trace


def _begin(name: str) -> None:
    """From here on lines run for `name`."""
    global _now  # noqa: PLW0603 - the interpreter calls what notes the lines, and takes no object
    _now = name
    if sys.version_info < (3, 12):
        sys.settrace(_trace)  # a test may have replaced it


if sys.version_info >= (3, 12):  # libraries run at their own speed

    def _line(code: CodeType, line: int) -> Any:
        if code.co_filename not in _watched:
            return sys.monitoring.DISABLE
        _reached[code.co_filename, line].add(_now)
        return None

    sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, "reach")
    sys.monitoring.register_callback(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE, _line)
    sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE)
else:
    threading.settrace(_trace)
    sys.settrace(_trace)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _begin(item.nodeid.partition("::")[0])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    _begin(item.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    if sys.version_info >= (3, 12):
        sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, 0)
    else:
        sys.settrace(None)
        threading.settrace(None)
    lines: defaultdict[str, dict[int, list[str]]] = defaultdict(dict)
    for (path, line), tests in _reached.items():
        lines[path][line] = sorted(tests)
    own = str(Path.cwd() / "tests")
    modules = sorted(
        name
        for name, module in sys.modules.items()
        if (file := getattr(module, "__file__", None)) and not file.startswith(own) and "pytest" not in name
    )
    Path(os.environ["MUTATION_REACH"]).write_text(
        json.dumps({"lines": lines, "seconds": _seconds, "modules": modules}), encoding="utf-8"
    )
