"""Types `department` commands as people who are logged in at a founded department, by its clock."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from desk_twins import Department

from sync.department.cli import main
from sync.department.commands import desk_access, grant
from sync.department.desk.context import DeskContext


class Seat:
    """One terminal; each command names the person who types it."""

    def __init__(
        self,
        department: Department,
        tokens: Callable[[str], str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._tokens, self._capsys, self._who = tokens, capsys, ""
        self.department = department

        @contextlib.contextmanager
        def session(_terminal: desk_access.Terminal) -> Iterator[tuple[DeskContext, str]]:
            yield department.front, tokens(self._who)

        monkeypatch.setenv("DEPARTMENT_HOME", str(department.home.path))
        monkeypatch.setattr(desk_access, "session", session)
        for module in (desk_access, grant):
            monkeypatch.setattr(module, "now_us", lambda: department.clock.us)

    def type(self, who: str, *words: object) -> tuple[int, str, str]:
        """Run a command; a refusal is one line with the program's name. Returns (status, stdout, stderr)."""
        self._who = who
        status = main([str(word) for word in words])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def refused(self, who: str, *words: object) -> tuple[int, str]:
        """Run a command that must be refused. Returns (status, the one line)."""
        status, out, err = self.type(who, *words)
        assert status != 0, out
        assert err.startswith("department: "), err
        assert err.count("\n") == 1, err
        return status, err

    def json(self, who: str, *words: object) -> Any:
        """Run a command and parse the line of JSON that it prints."""
        status, out, err = self.type(who, "--json", *words)
        assert status == 0, err
        return json.loads(out)
