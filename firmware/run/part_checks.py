"""The self-test of the parts that [parts] names: receiver, supply and ignition, lamps and filter."""

from __future__ import annotations

import time
from collections.abc import Iterator

from firmware.console.unit import SelfTestLine
from firmware.run.field_parts import FieldParts, field_parts
from firmware.settings.config import Config, PartsSettings
from hw.errors import HardwareError
from hw.lamps import Lamp
from hw.late_parts import LateLamps
from hw.position import PositionSource

RECEIVER_S = 11.0  # a receiver writes every second; one that writes nothing for ten is silent
OPEN_S = 3.0  # it retries its line every two seconds
LOOK_S = 0.2
SWITCHED_S = 0.3


def own_part_checks(config: Config) -> Iterator[SelfTestLine]:
    """Open the parts for the test, and switch lamps and filter; for a home that no reader holds."""
    with field_parts(config, on_order=lambda _order: None) as parts:
        yield from part_checks(config.parts, parts, wait_s=RECEIVER_S, switch=True)


def part_checks(
    named: PartsSettings, parts: FieldParts, *, wait_s: float = 0.0, switch: bool = False
) -> Iterator[SelfTestLine]:
    """A line for each fitted part. wait_s: how long a receiver may take for its first fix.

    switch: turn strobe, filter and case lamp on and off; False in a running reader, which controls them.
    """
    if parts.position is not None:
        yield _receiver(parts.position, wait_s)
    if parts.power is not None:
        yield from _supply(parts, ignition=named.ignition_pin is not None)
    outputs = {"strobe": named.strobe_pin, "filter": named.filter_pin, "case lamp": named.status_pin}
    fitted = [name for name, pin in outputs.items() if pin is not None]
    if parts.lamps is not None and fitted:
        yield _outputs(parts.lamps, fitted, switch=switch)


def _receiver(position: PositionSource, wait_s: float) -> SelfTestLine:
    """Test the receiver; shows neither place nor time of the fix."""
    begun_s = time.monotonic()
    while position.latest() is None and time.monotonic() - begun_s < wait_s:
        if position.trouble is not None and time.monotonic() - begun_s >= OPEN_S:
            break  # its line cannot be opened
        time.sleep(LOOK_S)
    fix = position.latest()
    if fix is not None:
        return SelfTestLine(name="receiver", good=True, detail=f"has a fix, within {fix.error_m:.0f} m")
    trouble = position.trouble
    if trouble is not None:
        return SelfTestLine(name="receiver", good=False, said=trouble.removeprefix("receiver: "))
    return SelfTestLine(name="receiver", good=None, detail="no fix: does its antenna see the sky?")


def _supply(parts: FieldParts, *, ignition: bool) -> Iterator[SelfTestLine]:
    assert parts.power is not None  # noqa: S101 - asked by the caller
    try:
        seen = parts.power.look()
    except HardwareError as error:
        yield SelfTestLine(name="supply", good=False, said=str(error))
        return
    wrong = [name for name, on in (("undervoltage", seen.undervoltage), ("throttled", seen.throttled)) if on]
    wrong += [f"no answer: {name}" for name in seen.silent]
    if wrong:
        cure = "a 5 V, 3 A (Pi 5: 5 A) supply and a short cable; shade and air against heat"
        yield SelfTestLine(name="supply", good=False, detail=f"{', '.join(wrong)}: needs {cure}")
    else:
        yield SelfTestLine(name="supply", good=True, detail="no undervoltage, not throttled")
    if ignition:
        yield SelfTestLine(name="ignition", good=True, detail="on" if seen.ignition else "off")


def _outputs(lamps: LateLamps, fitted: list[str], *, switch: bool) -> SelfTestLine:
    if lamps.trouble is not None:
        return SelfTestLine(name="lamps", good=False, said=lamps.trouble)
    try:
        for on in (True, False) if switch else ():
            for lamp in (Lamp.STROBE, Lamp.FILTER, Lamp.STATUS):
                lamps.switch(lamp, on=on)
            time.sleep(SWITCHED_S)
    except HardwareError as error:
        return SelfTestLine(name="lamps", good=False, said=str(error))
    return SelfTestLine(
        name="lamps", good=True, detail=f"{'switched' if switch else 'open'}: {', '.join(fitted)}"
    )
