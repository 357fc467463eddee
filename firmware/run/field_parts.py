"""Opens the parts that the configuration names (receiver, clock sources, supply, lamps) and keeps them
working.

A part that is not named does not exist. If a named part does not answer, at the start or later, an alarm
names the cure; meanwhile the unit reads, and it uses the part once it answers.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from firmware.settings.config import Config, PartsSettings
from firmware.threads import working
from hw.chrony import ChronyDaemon
from hw.clock import SystemClock
from hw.clock_discipline import DisciplinedClock
from hw.errors import HardwareError, MissingDriverError
from hw.lamps import GpioLamps, Lamp
from hw.late_parts import LateLamps, LatePower
from hw.nmea_receiver import NmeaReceiver
from hw.position import Fix, PositionSource
from hw.power import IgnitionPolicy, IgnitionWatch, PiPower, PowerOrder, PowerSource
from hw.pps import KernelPulses
from hw.rtc import KernelRtc
from hw.serial_port import TtySerialPort

REFRESH_S = 1.0
LASTING_S = 5.0  # a source of time may restart within this time
LATE_DAEMON_S = 30.0  # chronyd may start after us


class Troubles:
    """What has been wrong with the parts for long enough."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self.lasting: tuple[str, ...] = ()

    def noted(self, found: Iterable[str], now_s: float) -> None:
        """Note the result of one look at all parts: a line for each problem."""
        self._since = {what: self._since.get(what, now_s) for what in found}
        self.lasting = tuple(what for what, since_s in self._since.items() if now_s - since_s >= LASTING_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldParts:
    """The fitted parts. ignition: None on a unit without an ignition line."""

    clock: DisciplinedClock
    position: PositionSource | None
    power: PowerSource | None
    ignition: IgnitionWatch | None
    lamps: LateLamps | None
    troubles: Troubles

    def fix_at(self, ago_s: float) -> Fix | None:
        """Where the unit was ago_s seconds ago, by its receiver."""
        return None if self.position is None else self.position.at(ago_s)


@contextlib.contextmanager
def field_parts(config: Config, *, on_order: Callable[[PowerOrder], None]) -> Iterator[FieldParts]:
    """Open the parts, judge the clock and watch the supply meanwhile, and close the parts.

    on_order: called once for each new order of the supply.
    """
    named = config.parts
    with contextlib.ExitStack() as stack:
        position: PositionSource | None = None
        if named.gps_port is not None:
            open_line = partial(TtySerialPort, named.gps_port, baud=named.gps_baud)
            line = None
            with contextlib.suppress(HardwareError):
                line = open_line()
            position = NmeaReceiver(line, reopen=open_line)
            stack.callback(position.close)
        power = _power(named.ignition_pin)
        if power is not None:
            stack.callback(power.close)
        lamps: LateLamps | None = None
        pins = lamp_pins(named)
        if pins:
            lamps = LateLamps(partial(GpioLamps, **pins))
            stack.callback(lamps.close)
            lamps.switch(Lamp.STATUS, on=True)
        clock = clock_of(position)
        ignition = None
        if named.ignition_pin is not None:
            ignition = IgnitionWatch(
                IgnitionPolicy(
                    linger_s=named.linger_s, reserve_s=named.reserve_s, shutdown_s=named.shutdown_s
                )
            )
        parts = FieldParts(
            clock=clock, position=position, power=power, ignition=ignition, lamps=lamps, troubles=Troubles()
        )
        with working("parts", _Keeper(parts, on_order).keep):
            yield parts


class _Keeper:
    """Checks clock and supply independently, and retries a part that fails.

    Any other error is reported as a trouble: if the thread ended, no one would watch the ignition.
    """

    def __init__(self, parts: FieldParts, on_order: Callable[[PowerOrder], None]) -> None:
        self._parts, self._on_order = parts, on_order
        self._order = PowerOrder.RUN
        self._sought_s = self._missed_s = time.monotonic()  # when late sources of time were last tried

    def keep(self, stop: threading.Event) -> None:
        """Look at the parts once a second until `stop`."""
        while not stop.wait(REFRESH_S):
            self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Look at each part once."""
        found: list[str] = []
        for name, work in (("clock", self._clock), ("supply", self._supply), ("lamps", self._lamps)):
            try:
                found += work(now_s)
            except HardwareError:
                continue  # the health report asks by itself
            except Exception as error:  # noqa: BLE001 - named, and tried again
                found.append(f"{name}: {type(error).__name__}")
        self._parts.troubles.noted(found, now_s)

    def _clock(self, now_s: float) -> Sequence[str]:
        clock, position = self._parts.clock, self._parts.position
        if now_s - self._sought_s >= LATE_DAEMON_S and clock.waits_for_daemon:
            self._sought_s = now_s
            with contextlib.suppress(MissingDriverError):
                clock.take_daemon(ChronyDaemon())
        if now_s - self._missed_s >= LATE_DAEMON_S:
            self._missed_s = now_s
            if "rtc" in clock.waits_for:
                with contextlib.suppress(MissingDriverError):
                    clock.take_rtc(KernelRtc())
            if "pulses" in clock.waits_for:
                with contextlib.suppress(MissingDriverError):
                    clock.take_pulses(KernelPulses())
        clock.refresh()
        gone = None if position is None else position.trouble
        return (*clock.failures, *(() if gone is None else (gone,)))

    def _supply(self, _now_s: float) -> Sequence[str]:
        power, ignition = self._parts.power, self._parts.ignition
        if power is None or ignition is None:
            return ()
        try:
            seen = power.look()
        except HardwareError as error:
            return (str(error),)
        fresh = ignition.step(seen, time.monotonic())  # the clock's sources may have taken seconds
        if fresh is not self._order:
            self._order = fresh
            self._on_order(fresh)
        return ()

    def _lamps(self, _now_s: float) -> Sequence[str]:
        lamps = self._parts.lamps
        if lamps is None:
            return ()
        lamps.tend()
        return () if lamps.trouble is None else (lamps.trouble,)


def lamp_pins(named: PartsSettings) -> dict[str, int]:
    """The configured pins of lamps, filter and buzzer, by name."""
    names = ("strobe_pin", "filter_pin", "status_pin", "buzzer_pin", "alert_pin")
    pins = {name: getattr(named, name) for name in names}
    return {name: pin for name, pin in pins.items() if pin is not None}


def clock_of(position: PositionSource | None) -> DisciplinedClock:
    """The clock with every source of time of this machine, and the kernel's report until chrony answers."""
    daemon = pulses = rtc = None
    with contextlib.suppress(MissingDriverError):
        daemon = ChronyDaemon()
    with contextlib.suppress(MissingDriverError):
        pulses = KernelPulses()
    with contextlib.suppress(MissingDriverError):
        rtc = KernelRtc()
    return DisciplinedClock(kernel=SystemClock(), daemon=daemon, position=position, pulses=pulses, rtc=rtc)


def _power(ignition_pin: int | None) -> PowerSource | None:
    if ignition_pin is not None:
        return LatePower(partial(PiPower, ignition_pin=ignition_pin))
    try:
        return PiPower()
    except MissingDriverError:
        return None
