"""The float nets of a training with the shipped cards, to compare them with the int8 nets."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from ..card import card_text
from ..reader import DETECTOR_CARD, READER_CARD, PlateReader


class FloatModelsError(Exception):
    """None of the named folders contains a float net."""


def float_reader(models: Path, runs: Sequence[Path]) -> PlateReader:
    """A reader with the float nets found in ``runs``, and every number of the cards in ``models``.

    A net without a float file in any run is the int8 one, so that each net can be judged by itself. Raises
    FloatModelsError if there is no float net at all, and what PlateReader.from_models raises.
    """
    names = {card: card.replace(".toml", "-float.tflite") for card in (DETECTOR_CARD, READER_CARD)}
    found = {card: run / name for card, name in names.items() for run in runs if (run / name).is_file()}
    if not found:
        folders = ", ".join(map(str, runs))
        raise FloatModelsError(
            f"neither {' nor '.join(names.values())} in {folders}: name the run folders of `make train`"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for card in names:
            sections = tomllib.loads((models / card).read_text(encoding="utf-8"))
            source = found.get(card, models / sections["model"]["file"])
            shutil.copyfile(source, folder / source.name)
            digest = hashlib.sha256((folder / source.name).read_bytes()).hexdigest()
            sections["model"] |= {"file": source.name, "sha256": digest}
            kept = {key: values for key, values in sections.items() if key not in {"figures", "provenance"}}
            (folder / card).write_text(card_text(kept), encoding="utf-8")
        return PlateReader.from_models(folder)
