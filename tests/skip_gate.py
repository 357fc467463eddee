"""With ALPR_NO_SKIPS set, a skipped test fails the run, unless tests/skips.toml allows its reason."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

VARIABLE = "ALPR_NO_SKIPS"
ALLOWED_FILE = Path(__file__).with_name("skips.toml")


def allowed_reasons() -> list[re.Pattern[str]]:
    """The allowed reasons in the file. Raises KeyError if an entry has no `reason` or no `why`."""
    entries = tomllib.loads(ALLOWED_FILE.read_text(encoding="utf-8"))["allowed"]
    return [re.compile(entry["reason"]) for entry in entries if entry["why"]]


def forbidden(reasons: Iterable[str]) -> list[str]:
    """The reasons that are not allowed, each once."""
    allowed = allowed_reasons()
    return sorted({one for one in reasons if not any(pattern.search(one) for pattern in allowed)})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tests that were skipped without permission."""
    skipped = forbidden(_reasons(terminalreporter))
    if os.environ.get(VARIABLE) and skipped:
        terminalreporter.section(f"{VARIABLE} is set, and tests were skipped", red=True)
        for reason in skipped:
            terminalreporter.line(reason)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped without permission."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(VARIABLE) and reporter is not None and forbidden(_reasons(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _reasons(reporter: pytest.TerminalReporter) -> list[str]:
    reports = reporter.stats.get("skipped", [])
    return [str(one.longrepr[2] if isinstance(one.longrepr, tuple) else one.longrepr) for one in reports]
