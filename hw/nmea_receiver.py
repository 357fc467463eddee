"""A GPS receiver that sends NMEA 0183 on a serial line.

Promise: a line that is gone or not yet there is retried, and a silent receiver is reported.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from hw.errors import HardwareError
from hw.position import FRESH_S, Fix, FixBuilder, SentenceCutter
from hw.serial_port import SerialPort

QUIET_LINE_S = 0.5
SILENT_S = 10.0  # a receiver writes every second, with a fix or without
REOPEN_S = 2.0
KEPT_FIXES = 120  # a pass is stored seconds after its best frame
SENTENCE_AGE_S = 0.5  # age of the place when its sentences have arrived, plus or minus as much
FASTEST_M_S = 60.0  # assumed for a vehicle whose receiver gives no speed


class NmeaReceiver:
    """Reads a receiver that sends NMEA 0183 on a line, in a separate thread.

    port: the open line; None if it is not there yet, such as an adapter that the kernel finds after our
    start. reopen: opens the line for the first time, or again once it is gone.
    """

    def __init__(
        self,
        port: SerialPort | None,
        *,
        reopen: Callable[[], SerialPort] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port, self._reopen = port, reopen
        self._monotonic = monotonic
        self._cutter, self._builder = SentenceCutter(), FixBuilder()
        self._fixes: deque[Fix] = deque(maxlen=KEPT_FIXES)
        self._spoke_s = self._opened_s = monotonic()  # the last whole sentence of any kind; the line
        self._stop = threading.Event()
        self.line_gone = port is None
        self._was_there, self._why = port is not None, ""  # why it could not be opened
        self._thread = threading.Thread(target=self._listen, name="nmea", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines since the start were noise."""
        return self._cutter.dropped + self._builder.refused

    @property
    def trouble(self) -> str | None:
        """See PositionSource.trouble."""
        if self.line_gone:
            return (
                "receiver: its line is gone" if self._was_there else f"receiver: {self._why or 'not there'}"
            )
        if self._monotonic() - self._spoke_s > SILENT_S:
            return "receiver: no complete sentence; does its speed match parts.gps_baud?"
        lacking = self._builder.lacks(self._monotonic(), SILENT_S)
        if lacking and self._monotonic() - self._opened_s > SILENT_S:
            return f"receiver: sends no {lacking}, so no position and time: set it to send them each second"
        if self._builder.repeats > SILENT_S:
            return "receiver: sends one second again and again: switch it off and on"
        if self._builder.joins_none(self._monotonic(), SILENT_S):
            return "receiver: has a position, but its sentences give no fix: their dates or times are wrong"
        return None

    def latest(self) -> Fix | None:
        """See PositionSource.latest."""
        fixes = tuple(self._fixes)
        return fixes[-1] if fixes and self._monotonic() - fixes[-1].heard_s <= FRESH_S else None

    def at(self, ago_s: float) -> Fix | None:
        """See PositionSource.at."""
        then_s = self._monotonic() - ago_s
        off_s, fix = min(
            ((abs(fix.heard_s - SENTENCE_AGE_S - then_s), fix) for fix in tuple(self._fixes)),
            key=lambda found: found[0],
            default=(math.inf, None),
        )
        if fix is None or off_s > FRESH_S:
            return None
        speed_m_s = FASTEST_M_S if fix.speed_m_s is None else fix.speed_m_s
        return replace(fix, error_m=fix.error_m + speed_m_s * (off_s + SENTENCE_AGE_S))

    def close(self) -> None:
        """See PositionSource.close."""
        self._stop.set()
        self._thread.join(timeout=5)
        if self._port is not None:
            self._port.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            port = self._port
            if port is None:
                if not self._opened_again():
                    return
                continue
            try:
                data = port.read(4096, QUIET_LINE_S)
            except HardwareError:
                self.line_gone, self._port = True, None
                port.close()
                continue
            now_s = self._monotonic()
            for sentence in self._cutter.feed(data):
                self._spoke_s = now_s
                fix = self._builder.take(sentence, now_s)
                if fix is not None:
                    self._fixes.append(fix)

    def _opened_again(self) -> bool:
        """Wait until the line is open again; False if the source is closed first."""
        while self._reopen is not None and not self._stop.wait(REOPEN_S):
            try:
                self._port = self._reopen()
            except HardwareError as error:
                self._why = str(error)
                continue
            self._spoke_s = self._opened_s = self._monotonic()
            self.line_gone, self._was_there = False, True
            return True
        return False
