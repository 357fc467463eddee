"""Shutter and gain for plates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hw.exposure import MIN_EXPOSURE_US, TARGET_LUMA, Exposure, next_exposure


def settle(light: float, *, exposure_us: int = 800, gain_max: float = 8.0) -> tuple[Exposure, float]:
    """The exposure after 40 steps in a scene whose mean luma is light * shutter * gain."""
    now = Exposure(exposure_us=exposure_us, gain=1.0)
    luma = 0.0
    for _ in range(40):
        luma = min(255.0, light * now.exposure_us * now.gain)
        now = next_exposure(luma, now, exposure_us=exposure_us, gain_max=gain_max)
    return now, luma


@given(
    st.floats(0, 255), st.integers(60, 10_000), st.floats(1, 16), st.integers(60, 10_000), st.floats(1, 16)
)
def test_limits_hold_for_any_light(
    luma: float, shutter_us: int, gain: float, exposure_us: int, gain_max: float
) -> None:
    now = Exposure(exposure_us=shutter_us, gain=gain)
    new = next_exposure(luma, now, exposure_us=exposure_us, gain_max=gain_max)
    assert MIN_EXPOSURE_US <= new.exposure_us <= exposure_us
    assert 1.0 <= new.gain <= gain_max


def test_dusk_is_met_by_gain_and_the_shutter_stays() -> None:
    now, luma = settle(TARGET_LUMA / (800 * 4))
    assert now.exposure_us == 800
    assert 3 < now.gain < 5
    assert abs(luma - TARGET_LUMA) < 0.2 * TARGET_LUMA


def test_night_stops_at_the_cap() -> None:
    now, _ = settle(0.001)
    assert now == Exposure(exposure_us=800, gain=8.0)


def test_full_sun_shortens_the_shutter() -> None:
    now, luma = settle(TARGET_LUMA / 200)
    assert now.gain == 1.0
    assert now.exposure_us < 300
    assert luma < 120


def test_picture_near_the_target_is_left_alone() -> None:
    now = Exposure(exposure_us=800, gain=2.0)
    assert next_exposure(TARGET_LUMA * 1.1, now, exposure_us=800, gain_max=8.0) == now
