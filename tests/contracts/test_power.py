"""What a supply promises: the Pi's driver on a fake sysfs and gpiozero's mock pins, and the twin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import PATIENCE_S

from hw.errors import MissingDriverError
from hw.power import PiPower, PowerSource, ScriptedPower

IGNITION_PIN = 17


@dataclass
class Bench:
    power: PowerSource
    ignition: Callable[[bool], object]
    word: Callable[[int], object]


def fake_sysfs(root: Path) -> Path:
    word = root / "devices/platform/soc/soc:firmware/get_throttled"
    word.parent.mkdir(parents=True)
    word.write_text("0\n")
    sensor = root / "class/hwmon/hwmon1"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text("rpi_volt\n")
    (sensor / "in0_lcrit_alarm").write_text("0\n")
    return root


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in program may be slow on a busy machine."""
    monkeypatch.setattr("hw.throttling.LIMIT_S", PATIENCE_S)


@pytest.fixture(params=["driver", "twin"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "twin":
        twin = ScriptedPower()
        yield Bench(
            twin,
            lambda on: setattr(twin, "ignition", on),
            lambda word: setattr(twin, "throttle_word", word),
        )
        return
    mock = pytest.importorskip("gpiozero.pins.mock")
    factory = mock.MockFactory()
    sysfs = fake_sysfs(tmp_path)
    power = PiPower(ignition_pin=IGNITION_PIN, sysfs=sysfs, pin_factory=factory)
    pin = factory.pin(IGNITION_PIN)
    pin.drive_high()
    yield Bench(
        power,
        lambda on: pin.drive_high() if on else pin.drive_low(),
        lambda word: (sysfs / "devices/platform/soc/soc:firmware/get_throttled").write_text(f"{word:x}\n"),
    )
    power.close()
    factory.reset()


def test_ignition_is_seen_both_ways(bench: Bench) -> None:
    assert bench.power.look().ignition is True
    bench.ignition(False)
    assert bench.power.look().ignition is False


@pytest.mark.parametrize(
    ("word", "undervoltage", "throttled"),
    [
        (0x0, False, False),
        (0x1, True, False),
        (0x4, False, True),
        (0x8, False, True),
        (0x50000, False, False),  # since boot: over by now
        (0x50005, True, True),
    ],
)
def test_every_bit_of_the_throttling_word_is_distinguished(
    bench: Bench, word: int, undervoltage: bool, throttled: bool
) -> None:
    bench.word(word)
    supply = bench.power.look()
    assert (supply.undervoltage, supply.throttled) == (undervoltage, throttled)


def test_the_voltage_sensor_alone_raises_undervoltage(tmp_path: Path) -> None:
    sysfs = fake_sysfs(tmp_path)
    (sysfs / "class/hwmon/hwmon1/in0_lcrit_alarm").write_text("1\n")
    assert PiPower(sysfs=sysfs).look().undervoltage is True


def test_a_word_that_cannot_be_read_is_named_and_hides_no_ignition(tmp_path: Path) -> None:
    mock = pytest.importorskip("gpiozero.pins.mock")
    factory, sysfs = mock.MockFactory(), fake_sysfs(tmp_path)
    power = PiPower(ignition_pin=IGNITION_PIN, sysfs=sysfs, pin_factory=factory)
    factory.pin(IGNITION_PIN).drive_high()
    word = sysfs / "devices/platform/soc/soc:firmware/get_throttled"
    for spoil in (lambda: word.write_text("ok\n"), word.unlink):
        spoil()
        supply = power.look()
        assert (supply.ignition, supply.throttled, supply.undervoltage) == (True, None, False)
        assert supply.silent == ("throttling word",)
    (sysfs / "class/hwmon/hwmon1/in0_lcrit_alarm").unlink()
    supply = power.look()
    assert supply.undervoltage is None
    assert supply.silent == ("throttling word", "voltage alarm")
    power.close()
    factory.reset()


def test_a_pi_5_shows_its_word_under_another_name(tmp_path: Path) -> None:
    word = tmp_path / "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    word.parent.mkdir(parents=True)
    word.write_text("4\n")
    assert PiPower(sysfs=tmp_path).look().throttled is True


def stand_in(folder: Path, script: str) -> str:
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(folder)


def test_a_kernel_that_shows_no_word_is_asked_by_vcgencmd(tmp_path: Path) -> None:
    path = stand_in(tmp_path, '[ "$1" = get_throttled ] && echo throttled=0x50005')
    supply = PiPower(sysfs=tmp_path, search_path=path).look()
    assert (supply.undervoltage, supply.throttled) == (True, True)


@pytest.mark.parametrize(
    "script", ["echo Can't open device file >&2; exit 255", "echo throttled=", "sleep 30"]
)
def test_a_firmware_that_does_not_answer_is_named(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hw.throttling.LIMIT_S", 0.3)
    power = PiPower(sysfs=tmp_path, search_path=stand_in(tmp_path, f"exec {script}"))
    supply = power.look()
    assert supply.silent == ("throttling word",)
    assert supply.undervoltage is None


def test_a_machine_that_is_not_a_pi_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError, match=r"parts\.ignition_pin"):
        PiPower(sysfs=tmp_path, search_path=str(tmp_path))
