"""The reader as it ships."""

from __future__ import annotations

import pytest

from detector.reader import MODELS, READER_CARD, PlateReader


@pytest.fixture(scope="module")
def shipped() -> PlateReader:
    """The reader with its own models, loaded once per module, because it remembers its scene."""
    if not (MODELS / READER_CARD).is_file():
        pytest.skip("no trained reader in detector/models")
    return PlateReader.from_models()
