"""Camera physics and patches: the true corners enclose the plate, and effects do what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.training.render import camera, patches, render_patch, render_plate
from detector.training.render.press import RenderedPlate

Luma = NDArray[np.uint8]


def correlation(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    return float(np.corrcoef(one.astype(float).ravel(), other.astype(float).ravel())[0, 1])


def flat(plate: RenderedPlate, size: tuple[int, int]) -> Luma:
    """The plate without its frame, at another size."""
    return camera.cut_out(plate.luma, plate.corners, size)


def checkerboard(height: int = 120, width: int = 240, step: int = 20) -> Luma:
    down, across = np.mgrid[0:height, 0:width]
    return np.where((down // step + across // step) % 2 == 0, 40, 210).astype(np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_truth_corners_enclose_the_plate_to_a_fraction_of_a_pixel(seed: int) -> None:
    """A plate drawn in perspective and straightened by its true corners matches the plate, by others less."""
    rng = np.random.default_rng(seed)
    plate = render_plate(rng, jurisdiction="US")
    quad = patches.pose(rng, plate, 150.0)
    quad = quad - quad.min(axis=0) + 20
    size = tuple(int(v) for v in np.ceil(quad.max(axis=0) + 20)[::-1])
    scene = camera.place(
        np.full((size[0], size[1]), 90, np.uint8), plate.luma, plate.alpha, plate.corners, quad
    )
    original = camera.defocus(flat(plate, (60, 150)), 2.0)

    def likeness(shift: tuple[float, float]) -> float:
        return correlation(
            camera.defocus(camera.cut_out(scene, quad + np.array(shift), (60, 150)), 1.0), original
        )

    here = likeness((0.0, 0.0))
    assert here > 0.9
    for shift in ((1.5, 0.0), (-1.5, 0.0), (0.0, 1.5), (0.0, -1.5)):
        assert likeness(shift) < here


def test_a_patch_names_the_corners_of_the_plate_inside_it() -> None:
    """Cut exactly and without a margin, the plate's corners are those of the patch."""
    rng = np.random.default_rng(3)
    plate = render_plate(rng)
    scene, quad = patches.photograph(rng, plate, infrared=False, width=140.0)
    patch = camera.cut_out(scene, patches.disturbed(rng, quad, margin=(0.0, 0.0), disorder=0.0), (48, 144))
    assert patch.shape == (48, 144)
    likenesses = []
    for seed in range(25):
        rng = np.random.default_rng([9, seed])
        cut = render_patch(rng, margin=(0.1, 0.1), disorder=0.0)
        likenesses.append(np.ptp(cut.corners, axis=0) / (144, 48))
    assert np.median(likenesses, axis=0) == pytest.approx([1 / 1.1, 1 / 1.1], abs=0.05)


def test_the_same_seed_gives_the_same_patch() -> None:
    first, again = (render_patch(np.random.default_rng(11)) for _ in range(2))
    assert np.array_equal(first.luma, again.luma)
    assert (first.text, first.jurisdiction) == (again.text, again.jurisdiction)
    assert np.array_equal(first.corners, again.corners)


def test_patches_take_surroundings_from_given_pictures() -> None:
    backgrounds = [checkerboard(200, 300)]
    for seed in range(10):
        patch = render_patch(np.random.default_rng(seed), (32, 96), backgrounds=backgrounds)
        assert patch.luma.shape == (32, 96)
        assert patch.luma.dtype == np.uint8


@pytest.mark.thorough
def test_most_photographs_keep_their_text_visible() -> None:
    rng = np.random.default_rng(12)
    spread = [render_patch(rng).luma[12:36].std() for _ in range(60)]
    assert np.mean(np.array(spread) > 8) > 0.85


def test_a_homography_takes_its_points_where_they_belong() -> None:
    source = np.array([(0, 0), (10, 0), (10, 5), (0, 5)], np.float64)
    target = np.array([(3, 2), (17, 4), (15, 11), (2, 9)], np.float64)
    assert camera.project(camera.homography(source, target), source) == pytest.approx(target)


def test_motion_blur_smears_along_its_direction_and_keeps_the_light() -> None:
    stripes = np.tile(np.repeat(np.array([30, 220], np.uint8), 6), (60, 20))
    along = camera.motion_blur(stripes, 0.0, 8.0)
    across = camera.motion_blur(stripes, 8.0, 0.0)
    assert along.std() == pytest.approx(stripes.std(), rel=0.03)
    assert across.std() < 0.6 * stripes.std()
    assert camera.to_linear(across).mean() == pytest.approx(camera.to_linear(stripes).mean(), rel=0.05)


def test_noise_grows_with_the_iso() -> None:
    gray = np.full((100, 100), 120, np.uint8)
    low, high = (camera.sensor_noise(np.random.default_rng(0), gray, iso).std() for iso in (100, 1600))
    assert high > 2.5 * low > 0


def test_defocus_and_sharpening_pull_opposite_ways() -> None:
    board = checkerboard()
    soft = camera.defocus(board, 2.5)

    def edge(luma: Luma) -> float:
        return float(np.abs(np.diff(luma.astype(float), axis=1)).max())

    assert edge(soft) < 0.6 * edge(board)
    assert edge(camera.sharpen(soft, 2.0)) > edge(soft)


def test_infrared_night_lights_the_plate_and_not_the_surroundings() -> None:
    scene = np.full((60, 120), 150, np.uint8)
    quad = np.array([(30, 20), (90, 20), (90, 40), (30, 40)], np.float64)
    night = camera.infrared_night(np.random.default_rng(1), scene, camera.quad_mask(scene.shape, quad))
    assert night[30, 60] > 2 * night[5, 5]
    assert night[5, 5] < 80


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param(lambda rng, luma: camera.glare(rng, luma, 0.6), id="glare"),
        pytest.param(lambda rng, luma: camera.shadow(rng, luma, 0.6), id="shadow"),
        pytest.param(lambda rng, luma: camera.uneven_light(rng, luma, 0.5), id="uneven light"),
        pytest.param(lambda rng, luma: camera.rain(rng, luma, 30), id="rain"),
        pytest.param(lambda rng, luma: camera.resampled(rng, luma, 0.4), id="resampled"),
        pytest.param(lambda rng, luma: camera.jpeg(luma, 30), id="jpeg"),
        pytest.param(lambda rng, luma: camera.exposure(luma, -1.0), id="exposure"),
        pytest.param(lambda rng, luma: camera.contrast(luma, 0.5), id="contrast"),
    ],
)
def test_effects_change_a_picture_but_not_its_shape(effect: object) -> None:
    assert callable(effect)
    board = checkerboard()
    changed = effect(np.random.default_rng(2), board)
    assert changed.shape == board.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, board)
    assert correlation(changed, board) > 0.3


def test_small_plates_are_averaged_and_not_aliased() -> None:
    """Stripes narrower than a pixel become their mean, whatever their phase."""
    stripes = np.tile(np.array([0, 255], np.uint8), (200, 200))
    corners = np.array([(0, 0), (400, 0), (400, 200), (0, 200)], np.float64)
    target = corners / 10 + 10
    placed = camera.place(
        np.full((60, 80), 128, np.uint8), stripes, np.full_like(stripes, 255), corners, target
    )
    inside = placed[13:27, 13:47].astype(float)
    assert inside.mean() == pytest.approx(127.5, abs=6)
    assert inside.std() < 12


def test_a_folded_quad_is_not_convex() -> None:
    square = np.array([(0, 0), (4, 0), (4, 4), (0, 4)], np.float64)
    assert camera.is_convex(square)
    assert not camera.is_convex(square[[0, 2, 1, 3]])
