"""What a supply promises: the Pi's driver on a fake sysfs and gpiozero's mock pins, and the twin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hw.errors import MissingDriverError, PartFailedError
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
    ("word", "undervoltage", "throttled", "undervoltage_since_boot", "throttled_since_boot"),
    [
        (0x0, False, False, False, False),
        (0x1, True, False, False, False),
        (0x4, False, True, False, False),
        (0x8, False, True, False, False),
        (0x50000, False, False, True, True),
        (0x50005, True, True, True, True),
    ],
)
def test_every_bit_of_the_throttling_word_is_told_apart(
    bench: Bench, word: int, undervoltage: bool, throttled: bool, undervoltage_since_boot: bool,
    throttled_since_boot: bool,
) -> None:  # fmt: skip
    bench.word(word)
    supply = bench.power.look()
    assert (supply.undervoltage, supply.throttled) == (undervoltage, throttled)
    assert supply.undervoltage_since_boot is undervoltage_since_boot
    assert supply.throttled_since_boot is throttled_since_boot


def test_the_voltage_sensor_alone_raises_undervoltage(tmp_path: Path) -> None:
    sysfs = fake_sysfs(tmp_path)
    (sysfs / "class/hwmon/hwmon1/in0_lcrit_alarm").write_text("1\n")
    assert PiPower(sysfs=sysfs).look().undervoltage is True


def test_a_word_that_is_no_number_is_a_failed_part(tmp_path: Path) -> None:
    sysfs = fake_sysfs(tmp_path)
    (sysfs / "devices/platform/soc/soc:firmware/get_throttled").write_text("ok\n")
    with pytest.raises(PartFailedError):
        PiPower(sysfs=sysfs).look()


def test_a_machine_that_is_no_pi_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError, match=r"power\.source"):
        PiPower(sysfs=tmp_path)
