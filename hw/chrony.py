"""Asks chronyd how good the system clock is: one tracking request over its command socket.

The layout is that of chrony's candm.h, protocol version 6. Promise: anything but a whole, matching answer
from the daemon raises PartFailedError; an answer is never guessed at.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hw.errors import MissingDriverError, PartFailedError

SOCKET = Path("/run/chrony/chronyd.sock")
COMMAND_PORT = 323
ANSWER_LIMIT_S = 2.0

_VERSION, _REQUEST, _REPLY = 6, 1, 2
_ASK_TRACKING, _IS_TRACKING, _SUCCESS = 33, 5, 0
# version, type, 2 reserved, command, attempt, sequence, 2 x padding; then padding up to the answer's length
_ASK = struct.Struct("!BBxxHHI8x")
_REPLY_HEAD = struct.Struct("!BBxxHHH6xI8x")
# ref id, address (16 bytes, family, pad), stratum, leap, ref time (high, low, ns), then ten-odd floats
_TRACKING = struct.Struct("!I16sHxxHH12I")
_ANSWER_SIZE = _REPLY_HEAD.size + _TRACKING.size
_LEAP_UNSYNCHRONISED = 3
_NETWORK_FAMILIES = frozenset({1, 2})  # candm.h: IPADDR_INET4, IPADDR_INET6; a reference clock has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """The daemon's own estimate. Seconds unless named otherwise."""

    synchronised: bool
    stratum: int
    reference: str
    by_server: bool  # over the network; else by a reference clock of this machine, such as a receiver
    reference_time_s: float
    correction_s: float
    root_delay_s: float
    root_dispersion_s: float
    skew_ppm: float

    @property
    def error_bound_us(self) -> int:
        """|offset| + root dispersion + root delay / 2: the bound that chronyc(1) gives under `tracking`."""
        bound_s = abs(self.correction_s) + self.root_dispersion_s + self.root_delay_s / 2
        return min(round(bound_s * 1_000_000) + 1, 2**62)


class TimeDaemon(Protocol):
    """Gives the daemon's estimate of the system clock."""

    def tracking(self) -> Tracking:
        """The newest estimate. Raises PartFailedError."""


def _float(word: int) -> float:
    """chrony's 32-bit float: 7 bits of signed exponent, 25 of signed coefficient."""
    exponent, coefficient = word >> 25, word & 0x1FFFFFF
    exponent -= 128 if exponent >= 64 else 0
    coefficient -= 1 << 25 if coefficient >= 1 << 24 else 0
    return float(coefficient) * 2.0 ** (exponent - 25)


def _to_float(value: float) -> int:
    """The inverse of _float, rounded to what 25 bits hold; for the twin."""
    exponent = 0
    while abs(value) * 2.0 ** (25 - exponent) >= (1 << 24) - 1 and exponent < 63:
        exponent += 1
    while value and abs(value) * 2.0 ** (25 - exponent) < 1 << 23 and exponent > -64:
        exponent -= 1
    return ((exponent & 0x7F) << 25) | (round(value * 2.0 ** (25 - exponent)) & 0x1FFFFFF)


def tracking_request(sequence: int) -> bytes:
    """The bytes that ask; as long as the answer, since the daemon drops shorter ones."""
    return _ASK.pack(_VERSION, _REQUEST, _ASK_TRACKING, 0, sequence).ljust(_ANSWER_SIZE, b"\0")


def parse_tracking(answer: bytes, sequence: int) -> Tracking:
    """The estimate in an answer. Raises PartFailedError."""
    if len(answer) < _ANSWER_SIZE:
        raise PartFailedError(f"chronyd: answer of {len(answer)} bytes is too short")
    version, kind, command, reply, status, echoed = _REPLY_HEAD.unpack_from(answer)
    if (version, kind, command, echoed) != (_VERSION, _REPLY, _ASK_TRACKING, sequence):
        raise PartFailedError("chronyd: answer does not belong to the question")
    if reply != _IS_TRACKING or status != _SUCCESS:
        raise PartFailedError(f"chronyd: refused to answer (status {status})")
    fields = _TRACKING.unpack_from(answer, _REPLY_HEAD.size)
    reference, _address, family, stratum, leap, high, low, nanoseconds = fields[:8]
    correction, _last, _rms, _frequency, _residual, skew, delay, dispersion, _interval = fields[8:]
    seconds = low if high == 0x7FFFFFFF else (high << 32) | low
    return Tracking(
        synchronised=leap != _LEAP_UNSYNCHRONISED and reference != 0,
        stratum=stratum,
        reference=f"{reference:08X}",
        by_server=family in _NETWORK_FAMILIES,
        reference_time_s=seconds + nanoseconds / 1e9,
        correction_s=_float(correction),
        root_delay_s=_float(delay),
        root_dispersion_s=_float(dispersion),
        skew_ppm=_float(skew),
    )


def tracking_answer(tracking: Tracking, request: bytes) -> bytes:
    """What a daemon with this estimate answers to a request; for the twin."""
    sequence = _ASK.unpack_from(request)[4]
    seconds = int(tracking.reference_time_s)
    head = _REPLY_HEAD.pack(_VERSION, _REPLY, _ASK_TRACKING, _IS_TRACKING, _SUCCESS, sequence)
    return head + _TRACKING.pack(
        int(tracking.reference, 16), bytes(16), 1 if tracking.by_server else 0, tracking.stratum,
        0 if tracking.synchronised else _LEAP_UNSYNCHRONISED, seconds >> 32, seconds & 0xFFFFFFFF,
        round((tracking.reference_time_s - seconds) * 1e9), _to_float(tracking.correction_s), 0, 0, 0, 0,
        _to_float(tracking.skew_ppm), _to_float(tracking.root_delay_s),
        _to_float(tracking.root_dispersion_s), 0,
    )  # fmt: skip


class ChronyDaemon:
    """chronyd on this machine.

    Its Unix socket is in a folder that only root and chronyd's own user may enter. To everybody else on the
    machine it answers the same question on its command port (UDP, loopback), unless `cmdport 0` closes it.
    """

    def __init__(self, path: Path = SOCKET, *, port: int = COMMAND_PORT) -> None:
        try:
            there = path.exists()
        except PermissionError:
            there = True  # the folder is there, and closed to this user
        if not there:
            raise MissingDriverError(f"{path} not found: install chrony and start it (apt install chrony)")
        self._path, self._port = path, port

    def tracking(self) -> Tracking:
        """See TimeDaemon.tracking."""
        sequence = secrets.randbits(32)
        try:
            answer = self._over_socket(tracking_request(sequence))
        except PermissionError:
            answer = self._over_port(tracking_request(sequence))
        except OSError as error:
            raise PartFailedError(f"chronyd at {self._path}: {_cause(error)}") from error
        return parse_tracking(answer, sequence)

    def _over_socket(self, request: bytes) -> bytes:
        # The daemon answers to the sender's own socket file, so it must be able to reach it: in the same
        # folder, since a security profile may let it write into no other.
        own = self._path.parent / f"chronyc.{os.getpid()}.{secrets.token_hex(8)}.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(str(own))
            try:
                own.chmod(0o666)
                line.settimeout(ANSWER_LIMIT_S)
                line.connect(str(self._path))
                line.send(request)
                return line.recv(2048)
            finally:
                own.unlink(missing_ok=True)

    def _over_port(self, request: bytes) -> bytes:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
                line.settimeout(ANSWER_LIMIT_S)
                line.connect(("127.0.0.1", self._port))
                line.send(request)
                return line.recv(2048)
        except OSError as error:
            raise PartFailedError(
                f"chronyd: its socket is closed to this user, and its command port {self._port} answers "
                f"nothing ({_cause(error)}): leave `cmdport` at its default"
            ) from error


def _cause(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "no answer in time"


class ScriptedDaemon:
    """The twin: gives scripted answers, through the same bytes."""

    def __init__(self, tracking: Tracking | None) -> None:
        self.estimate = tracking

    def tracking(self) -> Tracking:
        """See TimeDaemon.tracking; without an estimate it fails as a stopped daemon does."""
        if self.estimate is None:
            raise PartFailedError("chronyd: no answer in time")
        request = tracking_request(7)
        return parse_tracking(tracking_answer(self.estimate, request), 7)
