"""The operating system's services: restart, clock, log, wireless, update. systemd's tools, and a twin.

Promise: no shell, no secret in an argument list, no call that can hang for ever.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Protocol

from hw.errors import MissingDriverError, NotEndedError, PartFailedError
from hw.program import find, is_there, run

SERVICE = "alpr-reader"
LIMIT_S = 60.0
INSTALL_LIMIT_S = 1260.0  # more than alpr-update@.service has: some hundred MB, onto a slow card
INSTALLER = "alpr-install-update"
RAUC_OPERATION = ("de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer", "Operation")
OUTPUT_LIMIT = 256 * 1024
CURES = {
    "nmcli": "install NetworkManager (apt install network-manager)",
    INSTALLER: "it is part of the flashable image; elsewhere install the package by hand",
    "journalctl": "read the log where this system keeps it",
}


class Machine(Protocol):
    """The operating system, as far as a technician may reach it."""

    def reboot(self) -> None:
        """Restart; returns at once. Raises MissingDriverError, PartFailedError."""

    def power_off(self) -> None:
        """Shut down for good; returns at once. Raises MissingDriverError, PartFailedError."""

    def set_clock(self, us: int) -> None:
        """Set the system clock, us UTC. Raises PartFailedError."""

    def log_lines(self, count: int) -> Sequence[str]:
        """The newest lines of the reader's own log. Raises MissingDriverError, PartFailedError."""

    def join_wifi(self, name: str, passphrase: str) -> None:
        """Join a wireless network. Raises MissingDriverError, PartFailedError."""

    def install_update(self, source: str) -> str:
        """Give a bundle to the image's installer, which checks its signature; returns the last output line.

        Raises MissingDriverError, PartFailedError; NotEndedError where it may still be written.
        """

    def installs_update(self) -> bool:
        """Whether an update is being installed, by this process or by another. Raises MissingDriverError,
        PartFailedError.
        """


class SystemdMachine:
    """systemctl, journalctl and NetworkManager's nmcli."""

    def __init__(self, *, search_path: str | None = None) -> None:
        self._path = search_path

    def reboot(self) -> None:
        """See Machine.reboot."""
        self._call("systemctl", "--no-block", "reboot")

    def power_off(self) -> None:
        """See Machine.power_off."""
        self._call("systemctl", "--no-block", "poweroff")

    def set_clock(self, us: int) -> None:
        """See Machine.set_clock."""
        try:
            time.clock_settime_ns(time.CLOCK_REALTIME, us * 1000)
        except PermissionError:  # on the image, a root helper that takes only a number
            self._set_clock_by_helper(us)
        except OSError as error:
            raise PartFailedError(f"the clock cannot be set: {error.strerror}") from None

    def _set_clock_by_helper(self, us: int) -> None:
        try:
            self._call("systemctl", "start", f"alpr-clock@{us // 1_000_000}.service")
        except (MissingDriverError, PartFailedError) as error:
            raise PartFailedError(
                f"the clock may not be set by this user: CAP_SYS_TIME is missing, and alpr-clock@.service "
                f"did not help ({error})"
            ) from None

    def log_lines(self, count: int) -> Sequence[str]:
        """See Machine.log_lines."""
        text = self._call("journalctl", "-u", SERVICE, "-n", str(count), "-o", "cat", "--no-pager")
        return text.splitlines()[-count:]

    def join_wifi(self, name: str, passphrase: str) -> None:
        """See Machine.join_wifi. nmcli asks for the passphrase on its standard input."""
        if name.startswith("-") or "help".startswith(name):  # nmcli has no `--` to end its options
            raise PartFailedError(f"nmcli does not accept {name} as a name: give the network another name")
        self._call("nmcli", "--ask", "device", "wifi", "connect", name, given=passphrase + "\n")

    def install_update(self, source: str) -> str:
        """See Machine.install_update."""
        lines = self._call(INSTALLER, "--", source, limit_s=INSTALL_LIMIT_S).strip().splitlines()
        return lines[-1] if lines else "installed"

    def installs_update(self) -> bool:
        """See Machine.installs_update. The installer's service may outlast the process that asked for it, and
        RAUC may outlast that service.
        """
        if not is_there(INSTALLER, self._path):
            return False
        jobs = self._call("systemctl", "list-jobs", "--no-legend", "alpr-update@*.service")
        return bool(jobs.strip()) or '"idle"' not in self._call("busctl", "get-property", *RAUC_OPERATION)

    def _call(self, program: str, *words: str, given: str = "", limit_s: float = LIMIT_S) -> str:
        found = find(program, CURES.get(program, "is systemd running here?"), self._path)
        done = run(found, *words, limit_s=limit_s, given=given)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            secret = given.strip()
            shown = last.replace(secret, "***") if secret else last
            failed = NotEndedError if done.returncode == os.EX_TEMPFAIL else PartFailedError
            raise failed(f"{program}: {shown[:160]}")
        return done.stdout[-OUTPUT_LIMIT:]


class RememberedMachine:
    """The twin: remembers the calls. networks: name to passphrase of those that can be joined."""

    def __init__(self, networks: dict[str, str] | None = None) -> None:
        self.asked: list[str] = []
        self.clock_us: int | None = None
        self.lines: list[str] = []
        self.installing = False
        self._networks = networks or {}

    def reboot(self) -> None:
        """See Machine.reboot."""
        self.asked.append("reboot")

    def power_off(self) -> None:
        """See Machine.power_off."""
        self.asked.append("power off")

    def set_clock(self, us: int) -> None:
        """See Machine.set_clock."""
        self.clock_us = us

    def log_lines(self, count: int) -> Sequence[str]:
        """See Machine.log_lines."""
        return self.lines[-count:]

    def join_wifi(self, name: str, passphrase: str) -> None:
        """See Machine.join_wifi."""
        if self._networks.get(name) != passphrase:
            raise PartFailedError("no such network, or a wrong passphrase")
        self.asked.append(f"wifi {name}")

    def install_update(self, source: str) -> str:
        """See Machine.install_update."""
        self.asked.append(f"update {source}")
        return "installed"

    def installs_update(self) -> bool:
        """See Machine.installs_update."""
        return self.installing
