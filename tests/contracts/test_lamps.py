"""What lamps promise: gpiozero's driver on its own mock pins, and the twin."""

from collections.abc import Iterator

import pytest

from hw.errors import MissingDriverError
from hw.lamps import BorrowedLamps, GpioLamps, Lamp, Lamps, RememberedLamps


@pytest.fixture(params=["driver", "twin"])
def lamps(request: pytest.FixtureRequest) -> Iterator[Lamps]:
    if request.param == "twin":
        yield RememberedLamps()
        return
    mock = pytest.importorskip("gpiozero.pins.mock")
    factory = mock.MockFactory()
    part = GpioLamps(
        strobe_pin=5, filter_pin=6, status_pin=13, buzzer_pin=12, alert_pin=16, pin_factory=factory
    )
    yield part
    part.close()
    factory.reset()


def test_each_lamp_switches_on_and_off_alone(lamps: Lamps) -> None:
    assert lamps.lit == frozenset()
    lamps.switch(Lamp.STROBE, on=True)
    assert lamps.lit == {"strobe"}
    lamps.switch(Lamp.FILTER, on=True)
    lamps.switch(Lamp.STATUS, on=True)
    lamps.switch(Lamp.STROBE, on=False)
    assert lamps.lit == {"filter", "status"}
    lamps.switch(Lamp.BUZZER, on=True)
    lamps.switch(Lamp.ALERT, on=True)
    lamps.switch(Lamp.STATUS, on=False)
    assert lamps.lit == {"filter", "buzzer", "alert"}
    lamps.switch(Lamp.BUZZER, on=False)
    assert lamps.lit == {"filter", "alert"}


def test_everything_is_off_after_close(lamps: Lamps) -> None:
    lamps.switch(Lamp.STROBE, on=True)
    lamps.close()
    assert lamps.lit == frozenset()
    lamps.close()


def test_the_pins_follow_the_lamps() -> None:
    mock = pytest.importorskip("gpiozero.pins.mock")
    factory = mock.MockFactory()
    part = GpioLamps(strobe_pin=5, pin_factory=factory)
    part.switch(Lamp.STROBE, on=True)
    part.switch(Lamp.STATUS, on=True)
    assert factory.pin(5).state
    part.close()
    assert not factory.pin(5).state
    factory.reset()


def test_a_pin_that_is_taken_is_named() -> None:
    mock = pytest.importorskip("gpiozero.pins.mock")
    factory = mock.MockFactory()
    part = GpioLamps(strobe_pin=5, pin_factory=factory)
    with pytest.raises(MissingDriverError, match="GPIO 5"):
        GpioLamps(filter_pin=5, pin_factory=factory)
    part.close()
    factory.reset()


def test_borrowed_lamps_are_given_back_as_they_were(lamps: Lamps) -> None:
    lamps.switch(Lamp.ALERT, on=True)
    lamps.switch(Lamp.STATUS, on=True)
    borrowed = BorrowedLamps(lamps)
    borrowed.switch(Lamp.BUZZER, on=True)
    borrowed.switch(Lamp.ALERT, on=False)
    assert borrowed.lit == {"status", "buzzer"}
    borrowed.close()
    assert lamps.lit == {"status", "alert"}
