"""A department's server on loopback, in its own process, for the demo and the soak."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from firmware.errors import FirmwareError
from sync.department import cli as department
from sync.errors import DONE
from tests.tools.ports import free_ports

HOST = "localhost"
STOP_S = 300


class LocalDepartmentError(FirmwareError):
    """The department's command failed."""


class LocalDepartment:
    """A context manager: runs `department serve` on a home made by `found`. Raises LocalDepartmentError."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.unit_port, self._desk_port = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None

    def found(self, *, quietly: bool = False) -> None:
        """Make the home: a demo department on free ports of loopback."""
        words = [
            "init",
            "--home",
            str(self.home),
            "--host",
            HOST,
            "--listen",
            "127.0.0.1",
            "--demo",
            "--json",
        ]
        ports = ["--unit-port", str(self.unit_port), "--desk-port", str(self._desk_port)]
        said = io.StringIO()
        with contextlib.redirect_stdout(said) if quietly else contextlib.nullcontext():
            status = department.main(words + ports)
        if status != DONE:
            raise LocalDepartmentError(f"department init ended with status {status}")

    def code(self, name: str) -> str:
        """A one-time code that `department enroll` issues while the server runs."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = department.main(["enroll", "--home", str(self.home), "--json", "--name", name])
        if status != DONE:
            raise LocalDepartmentError(f"department enroll ended with status {status}")
        return str(json.loads(said.getvalue())["code"])

    def verify(self) -> int:
        """Run `department verify`, which prints to stdout; returns its exit status."""
        return department.main(["verify", "--home", str(self.home)])

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "sync.department.cli", "serve", "--home", str(self.home), "--json"]
        with (self.home / "serve.log").open("wb") as events:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=events)
        if self._process.stdout is None or not self._process.stdout.readline():
            self._end()
            raise LocalDepartmentError(f"the department's server did not start: {self.home / 'serve.log'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(timeout=STOP_S)
            if process.stdout is not None:
                process.stdout.close()
