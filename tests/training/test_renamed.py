"""A plate with another state's name: its code is that of the name, and the serial is untouched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.training import renamed as module
from detector.training.alphabet import JURISDICTIONS
from detector.training.datasets import LabeledPlate, Picture
from detector.training.reader_samples import RealPatches
from detector.training.renamed import renamed
from detector.training.render.looks import LOOKS

_SERIAL = slice(42, 122)  # rows of a sheet 160 px high, between the bands of names and slogans


def _sheet() -> Image.Image:
    """A light sheet with dark stripes all over, as if names and a serial were printed on it."""
    field = np.full((160, 320), 210, np.uint8)
    field[:, 60:260:8] = 30
    return Image.fromarray(field)


def test_the_name_is_of_the_state_that_the_plate_is_labeled_with(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    real = module._name_mask

    def noted(rng: np.random.Generator, text: str) -> np.ndarray:
        printed.append(text)
        return real(rng, text)

    monkeypatch.setattr(module, "_name_mask", noted)
    rng = np.random.default_rng(3)
    codes = set()
    for _ in range(400):
        printed.clear()
        _, code = renamed(rng, _sheet())
        assert printed[0].upper() in {look.name.upper() for look in LOOKS if look.code == code}
        codes.add(code)
    assert codes == {code for code in JURISDICTIONS if code.startswith("US-")}


def test_the_old_name_is_gone_and_the_serial_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_print", lambda *_, **__: None)
    before = np.asarray(_sheet())
    for seed in range(20):
        after = np.asarray(renamed(np.random.default_rng(seed), _sheet())[0])
        assert np.array_equal(after[_SERIAL], before[_SERIAL])
        assert after[10, 80:240].std() < 0.2 * before[10, 80:240].std()


def test_the_new_name_is_dark_or_light_in_one_of_the_bands() -> None:
    blank = Image.fromarray(np.full((160, 320), 120, np.uint8))
    for seed in range(20):
        after = np.asarray(renamed(np.random.default_rng(seed), blank)[0]).astype(int)
        assert np.abs(after - 120).max() > 30
        assert np.abs(after[_SERIAL] - 120).max() == 0


def test_only_the_wanted_share_of_the_real_plates_is_renamed(tmp_path: Path) -> None:
    path = tmp_path / "plate.png"
    _sheet().save(path)
    plate = LabeledPlate(box=None, text="ABC123", region="US-OH")
    patches = RealPatches([Picture(path=path, dataset="us-crops", split="train", plates=(plate,))])
    rng = np.random.default_rng(5)

    def others(share: float) -> int:
        drawn = [
            patches.draw_place(rng, (96, 192), far=(60.0, 180.0), renamed_share=share) for _ in range(60)
        ]
        return sum(place != "US-OH" for _, place in drawn)

    assert others(0.0) == 0
    assert 15 <= others(0.5) <= 45
    assert others(1.0) >= 50  # one of the 51 names is Ohio's
