"""Training pictures match their truth: the device decodes what is encoded, and corners are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from detector.card import FindRules
from detector.find import decode
from detector.plates import ALPHABET
from detector.runtime import NetOutput
from detector.training import rendered_patches
from detector.training.alphabet import JURISDICTIONS, SLOTS, UNKNOWN, indices
from detector.training.datasets import LabeledPlate, Picture
from detector.training.detector_samples import paste_quad
from detector.training.detector_targets import encode_targets
from detector.training.patch_form import DEVIATION, HEIGHT, MEAN, WIDTH, normalized
from detector.training.reader_samples import RealPatches, cut_patch, in_patch_units, loose_quad, mapped
from detector.training.render import RenderedPlate, render_plate
from detector.training.rendered_patches import RenderedPatches
from detector.training.state_samples import StateBatches

H, W = 192, 320


def _net_output(values: np.ndarray) -> NetOutput:
    return NetOutput(values.astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(40, 280),
    y=st.floats(30, 160),
    w=st.floats(12, 120),
    slant=st.floats(-0.2, 0.2),
    ratio=st.floats(2, 5),
)
def test_what_the_detector_learns_is_what_the_device_decodes(
    x: float, y: float, w: float, slant: float, ratio: float
) -> None:
    h = w / ratio
    quad = np.array([[-w / 2, -h / 2], [w / 2, -h / 2], [w / 2, h / 2], [-w / 2, h / 2]], np.float32)
    quad[:, 1] += quad[:, 0] * slant
    quad += (x, y)
    low, high = quad.min(axis=0), quad.max(axis=0)
    box = np.array([[*(low + high) / 2, *(high - low)]], np.float32)
    target = encode_targets(box, quad[None], np.array([True]), H, W)
    told = target["regress"][..., 12:13] > 0
    heat = np.where(told, np.clip(target["heat"], 1e-4, 1 - 1e-4), 1e-6)  # a cell without truth has no vote
    found = decode(
        {
            "heat": _net_output(np.log(heat / (1 - heat))),
            "box": _net_output(target["regress"][..., :4]),
            "corners": _net_output(target["regress"][..., 4:12]),
        },
        FindRules(threshold=0.9),
    )
    assert len(found.scores) == 1
    np.testing.assert_allclose(found.corners[0], quad, atol=0.5)


def test_an_unlabeled_plate_counts_neither_way() -> None:
    boxes = np.array([[60, 60, 40, 20]], np.float32)
    quads = np.zeros((1, 4, 2), np.float32)
    unlabeled = np.array([[200, 100, 60, 30], [44, 52, 30, 14]], np.float32)
    target = encode_targets(boxes, quads, np.array([False]), H, W, unlabeled=unlabeled)
    loss_weight = (1 - target["heat"][..., 0]) ** 4
    assert loss_weight[26:32, 51:64].max() < 1e-6
    assert loss_weight[40, 70] == 1.0
    assert (target["heat"] >= 0.999).sum() == 1  # the labeled plate remains
    assert target["regress"][26:32, 51:64, 12].max() == 0.0


def test_a_pasted_plate_fills_its_true_corners_and_nothing_far_from_them() -> None:
    ground = np.full((H, W), 30, np.uint8)
    bright = np.full((60, 120), 250, np.uint8)
    dark = np.zeros((60, 120), np.uint8)
    quad = np.array([[100, 60], [180, 70], [178, 100], [98, 88]], np.float32)
    mask = Image.new("L", (W, H))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in quad], fill=1)
    for seed in range(12):
        one = paste_quad(np.random.default_rng(seed), ground, bright, quad)
        two = paste_quad(np.random.default_rng(seed), ground, dark, quad)
        differs = np.abs(one.astype(int) - two) > 25
        assert (differs == np.asarray(mask, bool)).mean() > 0.99
        assert one[150, 20] == 30


def test_a_loose_cut_knows_where_the_plate_is() -> None:
    rng = np.random.default_rng(5)
    picture = np.zeros((200, 400), np.uint8)
    picture[80:120, 120:240] = 255
    quad = np.array([[120, 80], [240, 80], [240, 120], [120, 120]], np.float64)
    for _ in range(20):
        loose, _, _ = loose_quad(rng, quad)
        patch, forward = cut_patch(Image.fromarray(picture), loose)
        corners = (in_patch_units(mapped(quad, forward)) + 0.5) * (WIDTH, HEIGHT)
        mask = Image.new("L", (WIDTH, HEIGHT))
        ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in corners], fill=255)
        agree = (np.asarray(mask) > 127) == (patch > 127)
        assert agree.mean() > 0.93


def test_rendered_patches_are_reproducible_and_in_range() -> None:
    first = RenderedPatches([])
    second = RenderedPatches([])
    one, two = np.random.default_rng(9), np.random.default_rng(9)
    for _ in range(25):
        a, b = first.draw(one), second.draw(two)
        assert a.text == b.text
        assert np.array_equal(a.patch, b.patch)
        assert a.patch.shape == (HEIGHT, WIDTH)
        assert a.text is not None
        assert len(a.text) <= SLOTS
        assert set(a.text) <= set(ALPHABET)


@pytest.mark.thorough
def test_a_line_of_a_two_line_plate_and_a_cut_plate_show_a_part_of_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[RenderedPlate] = []

    def noted(rng: np.random.Generator, infrared: bool) -> RenderedPlate:
        drawn.append(render_plate(rng, infrared=infrared, jurisdiction=("square", "EU")[len(drawn) % 2]))
        return drawn[-1]

    monkeypatch.setattr(rendered_patches, "_new_plate", noted)
    monkeypatch.setattr(rendered_patches, "CUT_SHARE", 1.0)
    maker, rng = RenderedPatches([]), np.random.default_rng(4)
    told = [maker.draw(rng).text or "" for _ in range(60)]
    for plate, text in zip(drawn, told, strict=True):
        if len(plate.lines) == 2:
            assert text in ("", plate.text[: plate.lines[0]], plate.text[plate.lines[0] :])
        else:
            assert text in plate.text
            assert plate.text.startswith(text) or plate.text.endswith(text)
    assert any(text and text != plate.text for plate, text in zip(drawn, told, strict=True))


def test_pieces_of_plate_free_pictures_show_nothing_to_read(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(3).integers(0, 255, (200, 300)).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    crop = tmp_path / "b.png"
    Image.new("L", (90, 30), 200).save(crop)
    empty = Picture(path=tmp_path / "a.png", dataset="negatives", split="train", plates=())
    plate = LabeledPlate(box=None, text="AB1", region="EU")
    labeled = Picture(path=crop, dataset="us-crops", split="train", plates=(plate,))
    maker, rng = RealPatches([labeled], [empty]), np.random.default_rng(1)
    told = [maker.draw(rng) for _ in range(200)]
    nothing = [one for one in told if one.text == ""]
    assert 10 < len(nothing) < 50
    assert all(one.corner_weight == 0 and one.jurisdiction == "" for one in nothing)
    assert {one.text for one in told} == {"", "AB1"}


def test_normalized_patches_share_mean_and_deviation() -> None:
    rng = np.random.default_rng(2)
    dim = rng.normal(60, 10, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8)
    out = normalized(dim).astype(float)
    assert out.mean() == pytest.approx(MEAN, abs=2)
    assert out.std() == pytest.approx(DEVIATION, rel=0.06)


def test_a_flat_patch_stays_flat() -> None:
    assert normalized(np.full((HEIGHT, WIDTH), 7, np.uint8)).std() == 0


def test_a_character_outside_the_alphabet_is_refused() -> None:
    assert indices("A9") == [0, 35]
    with pytest.raises(ValueError, match="not found"):
        indices("a")


def test_patches_for_the_state_namer_are_larger_and_name_provinces_unknown(tmp_path: Path) -> None:
    path = tmp_path / "plate.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 255, (60, 120), np.uint8)).save(path)
    plate = LabeledPlate(box=None, text="ABC1234", region="CA-ON")
    picture = Picture(path=path, dataset="us-crops", split="train", plates=(plate,))
    maker = StateBatches(RealPatches([picture]), [], real_share=1.0)
    patches, places = maker(np.random.default_rng(1))
    assert patches.shape == (64, 96, 192, 1)
    assert patches.dtype == np.uint8
    assert {JURISDICTIONS[int(place)] for place in places} == {UNKNOWN}
    patch, place = StateBatches(RealPatches([picture]), [])._rendered(np.random.default_rng(2))
    assert patch.shape == (96, 192)
    assert place
