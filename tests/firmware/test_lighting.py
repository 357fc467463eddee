"""Filter and strobe follow the frames, with lamps that record their state."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from firmware.frames.lighting import Lighting
from hw.camera import Frame
from hw.clock import TimeState, UtcTime
from hw.daylight import DaylightPolicy
from hw.errors import PartFailedError
from hw.lamps import Lamp, RememberedLamps
from sync.event_log import event_log


class Clockwork:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def frame(luma: int, *, exposure_us: int | None, gain: float | None) -> Frame:
    time = UtcTime(us=0, error_us=0, state=TimeState.UNKNOWN)
    plane = np.full((90, 160), luma, np.uint8)
    return Frame(
        luma=plane, chroma=None, lores=None, sequence=0, captured=time, exposure_us=exposure_us, gain=gain,
        source="test",
    )  # fmt: skip


def test_filter_and_strobe_follow_day_and_night_and_the_log_says_so() -> None:
    lamps, clock, events = RememberedLamps(), Clockwork(), io.StringIO()
    policy = DaylightPolicy(lasting_s=5, look_every_s=10, look_s=1)
    switched: list[float] = []
    lighting = Lighting(
        lamps, longest_us=800, gain_max=8.0, log=event_log(events), policy=policy, monotonic=clock,
        on_switch=lambda: switched.append(clock.now_s),
    )  # fmt: skip

    def seen(seconds: float, luma: int, exposure_us: int, gain: float) -> None:
        for _ in range(int(seconds * 10)):
            one = frame(luma, exposure_us=exposure_us, gain=gain)
            lighting.frame_seen(one, one.luma)
            clock.now_s += 0.1

    seen(2, 90, 200, 1.0)
    assert lamps.lit == {"filter"}
    seen(10, 60, 800, 8.0)
    assert lamps.lit == {"strobe"}
    seen(30, 90, 200, 1.0)
    assert lamps.lit == {"filter"}
    settings = [json.loads(line)["setting"] for line in events.getvalue().splitlines()]
    assert settings == ["day", "night", "day"]
    assert len(switched) == 3


def test_lamps_that_fail_do_not_stop_the_reading_and_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lamps, events, clock = RememberedLamps(), io.StringIO(), Clockwork()
    real = lamps.switch

    def stuck(lamp: Lamp, *, on: bool) -> None:
        if lamp is Lamp.FILTER and clock.now_s < 10:
            raise PartFailedError("the filter is stuck")
        real(lamp, on=on)

    monkeypatch.setattr(lamps, "switch", stuck)
    lighting = Lighting(lamps, longest_us=800, gain_max=8.0, log=event_log(events), monotonic=clock)
    one = frame(20, exposure_us=None, gain=None)
    for _ in range(8):
        lighting.frame_seen(one, one.luma)
        clock.now_s += 1
    assert lamps.lit == {"strobe"}
    lighting.put_out()
    assert lamps.lit == frozenset()
    assert events.getvalue().count("stuck") == 1
    by_day = frame(200, exposure_us=None, gain=None)
    for _ in range(400):
        lighting.frame_seen(by_day, by_day.luma)
        clock.now_s += 1
    assert lamps.lit == {"filter"}
