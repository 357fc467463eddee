"""Asks chronyd how good the system clock is: `chronyc -c tracking`, the report that chronyc(1) documents.

Promise: anything but a complete report from the daemon raises PartFailedError; nothing is guessed.
"""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hw.errors import MissingDriverError, PartFailedError
from hw.program import find, run

SOCKET = Path("/run/chrony/chronyd.sock")
COMMAND_PORT = 323
ANSWER_LIMIT_S = 5.0
ASK_EVERY_S = 8.0  # chronyd measures at most every 16 s, so a report 8 s old is as good

# reference id, its address or name, stratum, reference time, correction, last and RMS offset, frequency,
# residual frequency, skew, root delay, root dispersion, update interval, leap status
_FIELDS = 14
_LEAPS = frozenset({"Normal", "Insert second", "Delete second"})
_NOT_SYNCED = "Not synchronised"
_NO_REFERENCE = "00000000"
_CURE = "install chrony and start it (apt install chrony)"
_REFERENCE = re.compile(r"[0-9A-F]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """The daemon's own estimate, in seconds unless a name says otherwise."""

    synchronized: bool
    stratum: int
    reference: str
    by_server: bool  # over the network; else a reference clock of this machine, such as a receiver
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


def parse_report(text: str) -> Tracking:
    """The estimate in one line of `chronyc -n -c tracking`. Raises PartFailedError."""
    fields = text.strip().split(",")
    if len(fields) != _FIELDS:
        raise PartFailedError(f"chronyc: a report of {len(fields)} fields, not {_FIELDS}")
    reference, source, stratum, *numbers, leap = fields
    if not _REFERENCE.fullmatch(reference) or leap not in _LEAPS | {_NOT_SYNCED}:
        raise PartFailedError("chronyc: a report without its reference or leap status")
    try:
        values = [float(number) for number in numbers]
        level = int(stratum)
    except ValueError:
        raise PartFailedError("chronyc: a report with a field that is not a number") from None
    if not all(map(math.isfinite, values)):
        raise PartFailedError("chronyc: a report with a number that is not finite")
    time_s, correction, _last, _rms, _frequency, _residual, skew, delay, dispersion, _interval = values
    return Tracking(
        synchronized=leap in _LEAPS and reference != _NO_REFERENCE,
        stratum=level,
        reference=reference,
        by_server=_is_address(source),
        reference_time_s=time_s,
        correction_s=correction,
        root_delay_s=delay,
        root_dispersion_s=dispersion,
        skew_ppm=skew,
    )


def report(tracking: Tracking) -> str:
    """The line that chronyc prints for this estimate; used by the twin."""
    return ",".join(
        [
            tracking.reference, "192.0.2.1" if tracking.by_server else "PPS", str(tracking.stratum),
            f"{tracking.reference_time_s:.9f}", f"{tracking.correction_s:.9f}", "0.000000000", "0.000000000",
            "0.000", "0.000", f"{tracking.skew_ppm:.3f}", f"{tracking.root_delay_s:.9f}",
            f"{tracking.root_dispersion_s:.9f}", "64.0",
            "Normal" if tracking.synchronized else _NOT_SYNCED,
        ]
    )  # fmt: skip


class ChronyDaemon:
    """chronyd on this machine, asked through chronyc, which comes with it.

    Only root and chronyd's own user may use its Unix socket. For other users chronyc asks over the command
    port (UDP, loopback), which works unless `cmdport 0` closes it.
    """

    def __init__(
        self,
        path: Path = SOCKET,
        *,
        port: int = COMMAND_PORT,
        search_path: str | None = None,
        limit_s: float = ANSWER_LIMIT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """search_path: where to look for chronyc, by default the PATH. Raises MissingDriverError."""
        try:
            there = path.exists()
        except PermissionError:
            there = True  # the folder exists, but is closed to this user
        if not there:
            raise MissingDriverError(f"{path} not found: {_CURE}")
        program = find("chronyc", _CURE, search_path)
        self._command = (program, "-n", "-c", "-h", f"{path},127.0.0.1", "-p", str(port), "tracking")
        self._limit_s, self._monotonic = limit_s, monotonic
        self._newest: tuple[float, Tracking] | None = None

    def tracking(self) -> Tracking:
        """See TimeDaemon.tracking. A report is reused for ASK_EVERY_S; a failure is not."""
        now_s = self._monotonic()
        if self._newest is None or now_s - self._newest[0] >= ASK_EVERY_S:
            self._newest = None
            self._newest = (now_s, self._ask())
        return self._newest[1]

    def _ask(self) -> Tracking:
        done = run(*self._command, limit_s=self._limit_s, env={"LC_ALL": "C"})
        if done.returncode:
            said = (done.stdout or done.stderr).strip()[:160]
            raise PartFailedError(f"chronyd: {said}: is it running, and `cmdport` at its default?")
        return parse_report(done.stdout)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class ScriptedDaemon:
    """The twin: gives scripted answers, through the same line of text."""

    def __init__(self, tracking: Tracking | None) -> None:
        self.estimate = tracking

    def tracking(self) -> Tracking:
        """See TimeDaemon.tracking; fails like a stopped daemon if it has no estimate."""
        if self.estimate is None:
            raise PartFailedError("chronyc did not end in time")
        return parse_report(report(self.estimate))
