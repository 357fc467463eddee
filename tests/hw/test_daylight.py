"""Day and night: filter and strobe follow the light, and do not make each other flap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.daylight import Daylight, DaylightPolicy, Light, needed_share
from hw.exposure import TARGET_LUMA

POLICY = DaylightPolicy(lasting_s=20, look_every_s=300, look_s=2)
EVERY_S = 0.5


class World:
    """A scene with this much light, seen by a camera that always finds its exposure; 1.0 is its limit."""

    def __init__(self, *, strobe: float = 20.0) -> None:
        self.daylight = Daylight(POLICY)
        self.now_s, self.strobe = 0.0, strobe
        self.changes: list[Light] = []

    def share(self, light: float) -> float:
        lit = {Light.NIGHT: 1.5 * light + self.strobe, Light.LOOKING: 1.5 * light}
        return 1.0 / max(lit.get(self.daylight.light or Light.DAY, light), 1e-6)

    def pass_time(self, seconds: float, light: float) -> None:
        for _ in range(round(seconds / EVERY_S)):
            before = self.daylight.light
            after = self.daylight.step(self.share(light), self.now_s)
            if after is not before:
                self.changes.append(after)
            self.now_s += EVERY_S


def test_the_first_look_decides_at_once() -> None:
    for light, expected in ((100.0, Light.DAY), (0.01, Light.NIGHT)):
        world = World()
        world.pass_time(EVERY_S, light)
        assert world.changes == [expected]


def test_a_truck_in_front_is_not_a_night_and_dusk_is() -> None:
    world = World()
    world.pass_time(60, 100)
    world.pass_time(15, 0.01)
    world.pass_time(60, 100)
    assert world.changes == [Light.DAY]
    world.pass_time(25, 0.5)
    assert world.changes == [Light.DAY, Light.NIGHT]


@pytest.mark.parametrize("strobe", [0.0, 2.0, 50.0, 10_000.0])
def test_a_whole_day_switches_twice_however_bright_the_strobe_is(strobe: float) -> None:
    world = World(strobe=strobe)
    for light in (100, 30, 10, 3, 0.5, 0.05, 0.05, 0.05, 0.5, 2, 10, 30, 100):
        world.pass_time(1800, light)
    assert [one for one in world.changes if one is not Light.LOOKING].count(Light.DAY) == 2
    seen = [
        one for one, other in zip(world.changes, [None, *world.changes], strict=False) if one is not other
    ]
    assert seen[:2] == [Light.DAY, Light.NIGHT]
    assert seen[-1] is Light.DAY
    dark = [one for one in world.changes if one is Light.LOOKING]
    assert len(dark) <= 1800 * 9 / POLICY.look_every_s + 1


def test_at_night_the_strobe_is_hardly_ever_out() -> None:
    world = World(strobe=1000.0)
    out_s = 0.0
    for _ in range(7200):
        world.pass_time(EVERY_S, 0.01)
        out_s += EVERY_S * (world.daylight.light is Light.LOOKING)
    assert out_s <= 3600 * 2 * EVERY_S * 0.01


@given(st.lists(st.one_of(st.none(), st.floats(0, 1000)), max_size=300))
def test_whatever_is_seen_filter_and_strobe_are_never_in_together(shares: list[float | None]) -> None:
    daylight, switched_s = Daylight(POLICY), []
    for at, share in enumerate(shares):
        before = daylight.light
        after = daylight.step(share, at * EVERY_S)
        if {before, after} == {Light.DAY, Light.NIGHT}:
            switched_s.append(at * EVERY_S)
    assert all(later - earlier >= POLICY.lasting_s for earlier, later in pairwise(switched_s))


def test_the_share_is_what_the_camera_must_do() -> None:
    full = {"longest_us": 800, "gain_max": 8.0}
    assert needed_share(TARGET_LUMA, exposure_us=800, gain=8.0, **full) == pytest.approx(1.0)  # type: ignore[arg-type]
    assert needed_share(TARGET_LUMA, exposure_us=80, gain=1.0, **full) == pytest.approx(1 / 80)  # type: ignore[arg-type]
    assert (needed_share(0.0, exposure_us=800, gain=8.0, **full) or 0) > 10  # type: ignore[arg-type]


@pytest.mark.parametrize(("luma", "share"), [(10.0, 1.0), (50.0, None), (120.0, 0.0)])
def test_a_camera_that_reports_no_exposure_is_judged_by_the_picture(luma: float, share: float | None) -> None:
    assert needed_share(luma, exposure_us=None, gain=None, longest_us=800, gain_max=8.0) == share


def test_thresholds_that_would_flap_are_refused() -> None:
    with pytest.raises(ValueError, match="flap"):
        DaylightPolicy(day_share=0.5)
