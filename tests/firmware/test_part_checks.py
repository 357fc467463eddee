"""The self-test of the parts in [parts]: if a fitted part does not work, it never says "all parts work"."""

from __future__ import annotations

import warnings

import pytest

from firmware.run.field_parts import FieldParts, Troubles, clock_of
from firmware.run.part_checks import own_part_checks, part_checks
from firmware.settings.config import Config, PartsSettings
from hw.errors import HardwareError, MissingDriverError
from hw.gpio import open_pin
from hw.lamps import Lamp, Lamps, RememberedLamps
from hw.late_parts import LateLamps
from hw.position import FixedPosition
from hw.power import ScriptedPower


def receiver(*, fix: bool, trouble: str | None = None) -> FixedPosition:
    """A receiver with a fix, without one, or in trouble."""
    made = FixedPosition(34.1, -118.3, utc_us=lambda: 0)
    if not fix:
        made.close()
    made.trouble = trouble
    return made


def parts(**fitted: object) -> FieldParts:
    none = {"position": None, "power": None, "ignition": None, "lamps": None}
    return FieldParts(clock=clock_of(None), troubles=Troubles(), **none | fitted)  # type: ignore[arg-type]


def told(
    named: PartsSettings, made: FieldParts, *, switch: bool = False
) -> dict[str, tuple[bool | None, str]]:
    return {line.name: (line.good, line.text()) for line in part_checks(named, made, switch=switch)}


def test_nothing_is_said_of_parts_that_are_not_fitted() -> None:
    assert told(PartsSettings(), parts()) == {}


def test_a_receiver_distinguishes_a_fix_from_none_and_from_a_line_that_is_gone() -> None:
    named = PartsSettings(gps_port="/dev/ttyACM0")
    good, text = told(named, parts(position=receiver(fix=True)))["receiver"]
    assert (good, text) == (True, "has a fix, within 5 m")
    assert "34" not in text
    good, text = told(named, parts(position=receiver(fix=False)))["receiver"]
    assert (good, text) == (None, "no fix: does its antenna see the sky?")
    good, text = told(named, parts(position=receiver(fix=False, trouble="receiver: its line is gone")))[
        "receiver"
    ]
    assert (good, text) == (False, "its line is gone")


def test_a_supply_that_sags_is_wrong_and_names_the_cure() -> None:
    power = ScriptedPower()
    good = told(PartsSettings(ignition_pin=17), parts(power=power))
    assert good == {"supply": (True, "no undervoltage, not throttled"), "ignition": (True, "on")}
    power.throttle_word, power.ignition = 1, False
    sagging = told(PartsSettings(ignition_pin=17), parts(power=power))
    assert sagging["ignition"] == (True, "off")
    assert sagging["supply"][0] is False
    assert "undervoltage: needs a 5 V" in sagging["supply"][1]


def test_lamps_go_on_and_off_where_no_reader_keeps_them() -> None:
    lit: list[frozenset[Lamp]] = []

    class Seen(RememberedLamps):
        def switch(self, lamp: Lamp, *, on: bool) -> None:
            super().switch(lamp, on=on)
            if lamp is Lamp.STATUS:
                lit.append(self.lit)

    lamps = LateLamps(Seen)
    named = PartsSettings(strobe_pin=23, filter_pin=24, status_pin=25)
    assert told(named, parts(lamps=lamps))["lamps"] == (True, "open: strobe, filter, case lamp")
    assert lit == []
    assert told(named, parts(lamps=lamps), switch=True)["lamps"][1].startswith("switched: strobe")
    assert lit == [{"strobe", "filter", "status"}, frozenset()]


def test_lamps_that_cannot_be_opened_are_wrong() -> None:
    def opening() -> Lamps:
        raise MissingDriverError("GPIO 23 (strobe) cannot be used")

    good, text = told(PartsSettings(strobe_pin=23), parts(lamps=LateLamps(opening)))["lamps"]
    assert (good, text) == (False, "GPIO 23 (strobe) cannot be used")


def test_a_receiver_on_a_port_that_is_not_there_is_wrong_and_the_port_is_named() -> None:
    """As `reader selftest` opens it, when an installer has typed ttyACM0 for ttyACM1."""
    [line] = own_part_checks(Config(parts=PartsSettings(gps_port="/dev/no-such-port")))
    assert (line.name, line.good) == ("receiver", False)
    assert "/dev/no-such-port cannot be opened" in line.text()


def test_a_pin_library_that_is_missing_is_one_error_and_no_warnings() -> None:
    pytest.importorskip("gpiozero")
    with warnings.catch_warnings(record=True) as noise, pytest.raises(HardwareError):
        open_pin("DigitalOutputDevice", 99, "strobe")
    assert noise == []
