"""The scene watch notices dark, covered, frozen and knocked cameras; traffic and dusk raise no alarm."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from road_picture import road

from firmware.frames.picture_quality import coarse, picture_quality
from firmware.health.scene_watch import LEARN_S, SceneWatch

pytestmark = pytest.mark.slow


def watched(pictures: Any, seconds: float, *, step_s: float = 1.0) -> set[str]:
    """The alarms after a learned scene and then these pictures."""
    watch, now_s = SceneWatch(), 0.0
    while now_s < LEARN_S + 60:
        watch.look(road(int(now_s)), now_s)
        now_s += 20.0
    assert watch.alarms(now_s) == ()
    until_s, number = now_s + seconds, 0
    while now_s < until_s:
        watch.look(pictures(number), now_s)
        now_s, number = now_s + step_s, number + 1
    return set(watch.alarms(now_s))


@pytest.mark.parametrize(
    ("pictures", "seconds", "alarm"),
    [
        pytest.param(
            lambda n: np.random.default_rng(n).integers(0, 6, (180, 320)).astype(np.uint8), 70, "dark",
            id="dark",
        ),
        pytest.param(
            lambda n: (120 + np.random.default_rng(n).integers(0, 4, (180, 320))).astype(np.uint8), 310,
            "covered",
            id="dirt over the lens",
        ),
        pytest.param(lambda _n: road(1), 40, "frozen", id="the same picture for ever"),
        pytest.param(lambda n: road(n, shift=9), 130, "knocked", id="knocked aside"),
    ],
)  # fmt: skip
def test_a_blind_camera_is_noticed(pictures: Any, seconds: float, alarm: str) -> None:
    assert alarm in watched(pictures, seconds, step_s=seconds / 30)
    assert watched(pictures, 5) == set()


def test_a_night_in_which_every_pixel_is_black_is_dark_and_not_frozen() -> None:
    assert watched(lambda _n: np.zeros((180, 320), np.uint8), 120) == {"dark"}


@pytest.mark.parametrize("level", [20, 128, 255])
def test_a_camera_that_gives_one_flat_picture_from_its_start_is_frozen(level: int) -> None:
    """A failing sensor is uniformly gray, green or white, and no scene was learned to compare with."""
    watch, flat = SceneWatch(), np.full((180, 320), level, np.uint8)
    for second in range(40):
        watch.look(flat, float(second))
    assert watch.alarms(40.0) == ("frozen",)


def test_passing_traffic_and_a_slow_dusk_are_no_alarm() -> None:
    def traffic(number: int) -> NDArray[np.uint8]:
        luma = road(number).astype(float) * max(0.3, 1 - number / 200)
        at = number * 37 % 250
        luma[75:150, at : at + 70] = 60 + number % 90
        return luma.astype(np.uint8)

    assert watched(traffic, 2000, step_s=20.0) == set()


def learnt() -> tuple[SceneWatch, float]:
    watch, now_s = SceneWatch(), 0.0
    while now_s < LEARN_S + 60:
        watch.look(road(int(now_s)), now_s)
        now_s += 20.0
    return watch, now_s


def black(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 6, (180, 320)).astype(np.uint8)


def test_headlamps_of_a_passing_vehicle_end_no_alarm_of_the_dark() -> None:
    (watch, now_s), raised = learnt(), []
    for second in range(300):
        watch.look(road(second) if second % 75 >= 72 else black(second), now_s + second)
        raised.append("dark" in watch.alarms(now_s + second))
    assert raised == [False] * 60 + [True] * 240
    for second in range(300, 315):
        watch.look(road(second), now_s + second)
    assert watch.alarms(now_s + 315) == ()


@pytest.mark.thorough
def test_a_camera_that_reads_plates_by_night_is_not_blind_and_one_that_read_the_last_is_soon() -> None:
    watch, now_s = learnt()
    for second in range(0, 1200, 4):
        now_s += 4
        watch.look(black(second), now_s)
        if second % 200 == 0:
            watch.read(now_s)
        assert watch.alarms(now_s) == ()
    for second in range(0, 300, 4):
        now_s += 4
        watch.look(black(second), now_s)
    assert watch.alarms(now_s) == ("dark",)


@pytest.mark.thorough_rows
@pytest.mark.parametrize("change", ["lamps", "reads"])
def test_another_light_is_not_a_knock_once_lamps_or_reads_explain_it(change: str) -> None:
    watch, now_s = learnt()
    for second in range(0, 1500, 3):
        now_s += 3
        watch.look(255 - road(second), now_s)  # the strobe lights the road, the sky is dark
        if change == "lamps" and second == 3:
            watch.lit_anew()
        if change == "reads" and second % 30 == 0:
            watch.read(now_s)
        if change == "lamps" or second > 400:
            assert watch.alarms(now_s) == ()


@pytest.mark.thorough
def test_a_flat_picture_that_shows_plates_becomes_the_usual_one() -> None:
    def foggy(seed: int) -> NDArray[np.uint8]:
        return (120 + (road(seed).astype(int) - 120) // 8).astype(np.uint8)

    watch, now_s = learnt()
    for second in range(0, 400, 4):
        now_s += 4
        watch.look(foggy(second), now_s)
    assert watch.alarms(now_s) == ("covered",)
    watch.read(now_s)
    for second in range(0, 1000, 4):
        now_s += 4
        watch.look(foggy(second), now_s)
        assert watch.alarms(now_s) == ()


def test_a_picture_of_a_few_pixels_spoils_nothing_that_was_learnt() -> None:
    watch, now_s = learnt()
    watch.look(np.full((1, 1), 90, dtype=np.uint8), now_s)
    for _ in range(200):
        now_s += 1.0
        watch.look(road(shift=60), now_s)
    assert set(watch.alarms(now_s)) >= {"knocked"}


def test_a_moving_vehicle_is_never_knocked() -> None:
    watch, now_s = SceneWatch(), 0.0
    for number in range(200):
        watch.look(road(number, shift=number % 32), now_s)
        now_s += 8.0
    assert "knocked" not in watch.alarms(now_s)


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    sharp = np.kron(np.random.default_rng(1).integers(0, 2, (20, 20)) * 200, np.ones((9, 9))).astype(np.uint8)
    blurred: np.ndarray = coarse(np.kron(sharp, np.ones((2, 2), np.uint8)), 180, 180)
    for _ in range(3):
        blurred = (np.roll(blurred, 1, 1) + blurred + np.roll(blurred, -1, 1)) / 3
        blurred = (np.roll(blurred, 1, 0) + blurred + np.roll(blurred, -1, 0)) / 3
    soft = picture_quality(blurred.astype(np.uint8)).sharpness
    assert picture_quality(sharp).sharpness > soft + 30
    assert picture_quality(sharp // 3).sharpness == pytest.approx(picture_quality(sharp).sharpness, abs=5)
    assert picture_quality(np.full((50, 50), 9, np.uint8)).sharpness == 0
