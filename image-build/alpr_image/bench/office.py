"""The department and the laptop on the bench: real programs on this machine's loopback.

The unit reaches them through QEMU's user network, where 10.0.2.2 is this machine's loopback.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from alpr_image.workshop import PROJECT, BuildError, run
from storage.grant_format import REPAIR_COMMANDS
from tests.tools.ports import free_ports

SEEN_BY_UNIT = "10.0.2.2"
PERSON = "t.okafor"


class Office:
    """A department's home, and a technician's key and grants."""

    def __init__(self, folder: Path, *, seen_by_unit: str = SEEN_BY_UNIT) -> None:
        self.folder, self._host = folder, seen_by_unit
        folder.mkdir(parents=True, exist_ok=True)
        self.home, self.key = folder / "department", folder / PERSON
        self._ports = self._kept_ports()

    def _kept_ports(self) -> tuple[int, int]:
        """The ports, chosen only once: the unit keeps the address from its enrollment."""
        kept = self.folder / "ports"
        if not kept.exists():
            kept.write_text("{} {}\n".format(*free_ports(2)), encoding="ascii")
        first, second = kept.read_text(encoding="ascii").split()
        return int(first), int(second)

    def department(self, *words: str) -> str:
        """Run `department` and return its output. Raises BuildError."""
        return run([*_program("sync.department.cli"), "--home", str(self.home), *words], env=_env())

    def reader(self, home: Path, *words: str) -> str:
        """Run `reader` on this machine and return its output. Raises BuildError."""
        return run([*_program("firmware.cli"), "--home", str(home), *words], env=_env())

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Run the department's server for the length of the `with`."""
        if not self.home.exists():
            ports = ("--unit-port", str(self._ports[0]), "--desk-port", str(self._ports[1]))
            self.department(
                "init", "--name", "Monrovia PD", "--host", self._host, "--listen", "127.0.0.1", *ports
            )
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", PERSON, "-f", self.key])
        with (self.folder / "server.txt").open("wb") as said:
            server = subprocess.Popen(  # noqa: S603 - our own program
                [*_program("sync.department.cli"), "--home", str(self.home), "serve"],
                env=_env(),
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        try:
            for port in self._ports:
                _await_port(port, server)
            yield
        finally:
            server.terminate()
            server.wait(timeout=60)

    def code(self, unit: str) -> str:
        """A one-time code for a unit."""
        return self.department("enroll", "--name", unit).strip().splitlines()[-1]

    def grant(self, unit: str) -> None:
        """A technician's grant for this unit, 30 days, `update` included: there is no desk to ask."""
        out = self.folder / f"{PERSON}.grant"
        out.unlink(missing_ok=True)
        self.department(
            "grant",
            "issue",
            "--person",
            PERSON,
            "--role",
            "technician",
            "--key",
            f"{self.key}.pub",
            "--purpose",
            "maintenance: installation",
            "--work-order",
            "WO-2026-118",
            "--unit",
            unit,
            "--for",
            "30d",
            *(f"--command={name}" for name in sorted({*REPAIR_COMMANDS, "update"})),
            "--out",
            str(out),
        )

    def answer(self, challenge: str) -> list[str]:
        """The lines that the laptop prints for a challenge."""
        grant = str(self.folder / f"{PERSON}.grant")
        return self.reader(
            self.folder / "laptop", "grant", "--grant", grant, "--key", str(self.key), challenge
        ).splitlines()


def _program(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT)}


def _await_port(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120.0
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None or time.monotonic() > until:
            raise BuildError("the department's server does not start")
        time.sleep(0.2)
