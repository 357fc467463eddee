"""Pins below gpiozero: lgpio's side effects and its own exceptions never reach the caller."""

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from hw.errors import MissingDriverError, PartFailedError
from hw.lamps import GpioLamps, Lamp
from hw.power import PiPower

mock = pytest.importorskip("gpiozero.pins.mock")


class LgpioError(Exception):
    """Like lgpio's own error: neither an OSError nor one of gpiozero's."""


@pytest.fixture(autouse=True)
def lgpio(monkeypatch: pytest.MonkeyPatch) -> None:
    library = types.ModuleType("lgpio")
    library.error = LgpioError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lgpio", library)


class BusyFactory(mock.MockFactory):  # type: ignore[misc, name-defined]
    """A chip whose lines another process holds, and which changes the working folder as lgpio does."""

    def pin(self, name: Any) -> Any:
        os.chdir(os.environ["LG_WD"])
        raise LgpioError("GPIO busy")


def broken(pin: Any) -> None:
    def fail(*_: object) -> None:
        raise LgpioError("bad handle")

    pin._get_state = pin._set_state = fail


def test_a_busy_pin_is_named_and_the_process_stays_in_its_folder(tmp_path: Path) -> None:
    here = Path.cwd()
    with pytest.raises(MissingDriverError, match=r"GPIO 23 \(strobe\).*busy"):
        GpioLamps(strobe_pin=23, pin_factory=BusyFactory())
    assert Path.cwd() == here
    assert not list(here.glob(".lgd-nfy*"))


def test_a_lamp_whose_chip_goes_away_is_a_failed_part_and_can_be_closed() -> None:
    factory = mock.MockFactory()
    lamps = GpioLamps(strobe_pin=23, status_pin=25, pin_factory=factory)
    broken(factory.pin(23))
    with pytest.raises(PartFailedError, match="strobe"):
        lamps.switch(Lamp.STROBE, on=True)
    lamps.switch(Lamp.STATUS, on=True)
    lamps.close()
    assert not factory.pin(25).state
    factory.reset()


def test_an_ignition_line_whose_chip_goes_away_is_a_failed_part(tmp_path: Path) -> None:
    sensor = tmp_path / "class/hwmon/hwmon1"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text("rpi_volt\n")
    (sensor / "in0_lcrit_alarm").write_text("0\n")
    factory = mock.MockFactory()
    power = PiPower(ignition_pin=17, sysfs=tmp_path, pin_factory=factory)
    broken(factory.pin(17))
    with pytest.raises(PartFailedError, match="ignition"):
        power.look()
    factory.reset()
