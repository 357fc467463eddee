"""The heartbeat for systemd's watchdog (and so for the hardware's), and a twin that remembers.

The protocol is sd_notify(3): datagrams of NAME=value lines to the socket in NOTIFY_SOCKET.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Protocol

from hw.errors import MissingDriverError, PartFailedError


class Heartbeat(Protocol):
    """Reports the service's state to its supervisor."""

    @property
    def interval_s(self) -> float | None:
        """The time between two beats (half the watchdog's limit); None without a watchdog."""

    def ready(self) -> None:
        """Report that the start is complete."""

    def need(self, seconds: int) -> None:
        """Ask for this long, from now on, until the start is complete."""

    def beat(self) -> None:
        """Report that the service is alive."""

    def say(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""

    def stopping(self) -> None:
        """Report an intended shutdown."""


class SystemdHeartbeat:
    """systemd, through the environment that it started us with."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            raise MissingDriverError(
                "NOTIFY_SOCKET not set: not started by systemd, or Type=notify is missing"
            )
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watched_us = 0
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            text = environment.get("WATCHDOG_USEC", "0")
            self._watched_us = int(text) if text.isdecimal() else 0

    @property
    def interval_s(self) -> float | None:
        """See Heartbeat.interval_s."""
        return self._watched_us / 2e6 if self._watched_us else None

    def ready(self) -> None:
        """See Heartbeat.ready."""
        self._send("READY=1")

    def need(self, seconds: int) -> None:
        """See Heartbeat.need."""
        self._send(f"EXTEND_TIMEOUT_USEC={seconds}000000")

    def beat(self) -> None:
        """See Heartbeat.beat."""
        self._send("WATCHDOG=1")

    def say(self, text: str) -> None:
        """See Heartbeat.say."""
        self._send("STATUS=" + " ".join(text.split())[:200])

    def stopping(self) -> None:
        """See Heartbeat.stopping."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.connect(self._address)
                line.sendall(message.encode())
        except OSError as error:
            raise PartFailedError(f"systemd: heartbeat refused ({type(error).__name__})") from error


class PatientHeartbeat:
    """Passes everything to another heartbeat and ignores it if the supervisor refuses a message."""

    def __init__(self, inner: Heartbeat) -> None:
        self._inner = inner

    @property
    def interval_s(self) -> float | None:
        """See Heartbeat.interval_s."""
        return self._inner.interval_s

    def ready(self) -> None:
        """See Heartbeat.ready."""
        with contextlib.suppress(PartFailedError):
            self._inner.ready()

    def need(self, seconds: int) -> None:
        """See Heartbeat.need."""
        with contextlib.suppress(PartFailedError):
            self._inner.need(seconds)

    def beat(self) -> None:
        """See Heartbeat.beat."""
        with contextlib.suppress(PartFailedError):
            self._inner.beat()

    def say(self, text: str) -> None:
        """See Heartbeat.say."""
        with contextlib.suppress(PartFailedError):
            self._inner.say(text)

    def stopping(self) -> None:
        """See Heartbeat.stopping."""
        with contextlib.suppress(PartFailedError):
            self._inner.stopping()


class RememberedHeartbeat:
    """The twin: remembers what was reported."""

    def __init__(self, *, interval_s: float | None = None) -> None:
        self.interval_s = interval_s
        self.said: list[str] = []

    def ready(self) -> None:
        """See Heartbeat.ready."""
        self.said.append("READY=1")

    def need(self, seconds: int) -> None:
        """See Heartbeat.need."""
        self.said.append(f"EXTEND_TIMEOUT_USEC={seconds}000000")

    def beat(self) -> None:
        """See Heartbeat.beat."""
        self.said.append("WATCHDOG=1")

    def say(self, text: str) -> None:
        """See Heartbeat.say."""
        self.said.append("STATUS=" + " ".join(text.split())[:200])

    def stopping(self) -> None:
        """See Heartbeat.stopping."""
        self.said.append("STOPPING=1")
