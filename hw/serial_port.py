"""A byte line to a person or a part: serial port, terminal or SSH channel, and an in-memory pair as twin.

Promise: a read never waits longer than asked, and raises LineGoneError once the other end is gone.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from hw.errors import LineGoneError, MissingDriverError, PartFailedError

if TYPE_CHECKING:
    from serial import Serial

CONSOLE_BAUD = 115_200
WRITE_LIMIT_S = 10.0  # a terminal that accepts nothing for this long counts as gone

ModemLine = Literal["none", "dsr", "cd"]


class SerialPort(Protocol):
    """One end of a line."""

    @property
    def name(self) -> str:
        """The line's name in messages."""

    def read(self, limit: int, timeout_s: float) -> bytes:
        """Up to limit bytes as soon as there are any; b"" after timeout_s. Raises LineGoneError."""

    def write(self, data: bytes) -> None:
        """Send all of data. Raises LineGoneError."""

    def close(self) -> None:
        """Give the line back; a second call does nothing."""


def _reason(error: Exception) -> str:
    """Why a port cannot be opened; pyserial's text repeats the port's name and the error number."""
    number = getattr(error, "errno", None)
    if number == errno.EAGAIN:  # pyserial's lock
        return "another program has it open"
    return os.strerror(number) if number else str(error)


class TtySerialPort:
    """A serial device (UART, USB adapter, USB gadget or pty) through pyserial, 8N1.

    modem_line: the input that must stay up for the cable to count as plugged in. "none" is for a USB gadget
    (Linux's u_serial does not support TIOCMGET, and a pulled cable closes the device) and for a bare
    three-wire UART, where a pulled cable cannot be detected and the idle lock ends the session instead.
    """

    def __init__(self, device: str, *, baud: int = CONSOLE_BAUD, modem_line: ModemLine = "none") -> None:
        try:
            import termios  # noqa: PLC0415 - a driver imports late

            import serial  # noqa: PLC0415
        except ImportError as error:
            raise MissingDriverError("pyserial not found: install the reader's own dependencies") from error
        try:
            self._port: Serial = serial.Serial(
                device, baud, timeout=0, write_timeout=WRITE_LIMIT_S, exclusive=True
            )
        except (OSError, termios.error) as error:  # pyserial does not wrap termios.error
            raise MissingDriverError(
                f"serial port {device} cannot be opened ({_reason(error)}): check the cable, the name with "
                "`ls /dev/tty*`, and that this user is in the group dialout"
            ) from error
        self._foreign: tuple[type[Exception], ...] = (OSError, serial.SerialException, TypeError)
        self._modem_line = modem_line
        self._closed = False
        self.name = device

    def read(self, limit: int, timeout_s: float) -> bytes:
        """See SerialPort.read."""
        self._check_cable()
        try:
            ready, _, _ = select.select([self._port.fileno()], [], [], timeout_s)
            if not ready:
                self._check_cable()
                return b""
            return bytes(self._port.read(min(limit, max(1, self._port.in_waiting))))
        except self._foreign as error:
            raise LineGoneError(f"{self.name}: the other end is closed ({type(error).__name__})") from error

    def write(self, data: bytes) -> None:
        """See SerialPort.write."""
        self._check_cable()
        try:
            self._port.write(data)
        except self._foreign as error:
            raise LineGoneError(f"{self.name}: the other end is closed ({type(error).__name__})") from error

    def close(self) -> None:
        """See SerialPort.close."""
        self._closed = True
        self._port.close()

    def _check_cable(self) -> None:
        if self._closed:
            raise LineGoneError(f"{self.name}: closed")
        if self._modem_line == "none":
            return
        try:
            up = self._port.dsr if self._modem_line == "dsr" else self._port.cd
        except self._foreign as error:
            raise PartFailedError(
                f"{self.name} has no {self._modem_line.upper()} line: say --modem-line none (a USB gadget "
                "disconnects anyway)"
            ) from error
        if not up:
            raise LineGoneError(f"{self.name}: {self._modem_line.upper()} dropped, the cable was pulled")


class FdPort:
    """Our own standard input and output: a terminal, or the channel of an SSH forced command."""

    def __init__(self, fd_in: int = 0, fd_out: int = 1, *, name: str = "terminal") -> None:
        self._fd_in, self._fd_out = fd_in, fd_out
        self._closed = False
        self._restore: Callable[[], None] = lambda: None
        self.name = name
        if os.isatty(fd_in):
            self._make_raw(fd_in)

    def _make_raw(self, fd: int) -> None:
        import termios  # noqa: PLC0415 - only where there is a terminal
        import tty  # noqa: PLC0415

        before = termios.tcgetattr(fd)
        tty.setraw(fd)
        self._restore = lambda: termios.tcsetattr(fd, termios.TCSADRAIN, before)

    def read(self, limit: int, timeout_s: float) -> bytes:
        """See SerialPort.read."""
        self._check_open()
        ready, _, _ = select.select([self._fd_in], [], [], timeout_s)
        if not ready:
            return b""
        try:
            data = os.read(self._fd_in, limit)
        except OSError as error:
            raise LineGoneError(f"{self.name}: the other end is closed") from error
        if not data:
            raise LineGoneError(f"{self.name}: the other end is closed")
        return data

    def write(self, data: bytes) -> None:
        """See SerialPort.write."""
        self._check_open()
        rest = memoryview(data)
        while rest:
            try:
                _, ready, _ = select.select([], [self._fd_out], [], WRITE_LIMIT_S)
                if not ready:
                    raise LineGoneError(f"{self.name}: does not accept output")
                rest = rest[os.write(self._fd_out, rest[:512]) :]
            except OSError as error:
                raise LineGoneError(f"{self.name}: the other end is closed") from error

    def close(self) -> None:
        """See SerialPort.close; restores a terminal's mode."""
        if not self._closed:
            self._closed = True
            self._restore()

    def _check_open(self) -> None:
        if self._closed:
            raise LineGoneError(f"{self.name}: closed")


class LoopbackPort:
    """One end of an in-memory line; `loopback_pair` makes two that talk to each other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._inbox = bytearray()
        self._changed = threading.Condition()
        self._gone = False
        self._other: LoopbackPort | None = None

    def read(self, limit: int, timeout_s: float) -> bytes:
        """See SerialPort.read."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while not self._inbox:
                if self._gone:
                    raise LineGoneError(f"{self.name}: the other end is closed")
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    return b""
            data = bytes(self._inbox[:limit])
            del self._inbox[:limit]
            return data

    def write(self, data: bytes) -> None:
        """See SerialPort.write."""
        other = self._other
        if self._gone or other is None:
            raise LineGoneError(f"{self.name}: the other end is closed")
        with other._changed:
            other._inbox += data
            other._changed.notify_all()

    def close(self) -> None:
        """Pull the cable: both ends notice, and what was already sent can still be read."""
        for end in (self, self._other):
            if end is not None:
                with end._changed:
                    end._gone = True
                    end._changed.notify_all()


def loopback_pair(near: str = "near", far: str = "far") -> tuple[LoopbackPort, LoopbackPort]:
    """Two ends of one line in memory."""
    one, two = LoopbackPort(near), LoopbackPort(far)
    one._other, two._other = two, one
    return one, two
