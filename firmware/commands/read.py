"""`reader read`: prints one JSON line for each image; stores nothing."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from detector.errors import PictureError
from detector.plates import PlateReading
from detector.reader import PlateReader
from firmware.frames.record import jurisdiction_of
from hw.errors import BrokenFrameError
from hw.picture_file import load_planes
from sync.command_frame import Common, verb
from sync.errors import DONE, FOUND_WRONG


@verb("read", example="reader read front.jpg rear.png | jq '.plates[]?.text'")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option(
    "--threads",
    type=click.IntRange(1, 8),
    default=1,
    metavar="N",
    help="Threads to use, 1 to 8.",
)
def read(_common: Common, *, images: tuple[Path, ...], threads: int) -> int:
    """Print one JSON object a line for each JPEG, PNG or WebP file; store nothing.

    Each line has the image, its plates (box x y w h; corners clockwise from the top left of the text; text,
    with ? for an unreadable character; confidence in the whole text; confidence of each character;
    other candidates; issuing state) and milliseconds by stage. If an image does not decode, its line
    has an error instead of plates and the exit status is 1.
    """
    reader = PlateReader.from_models(threads=threads)
    wrong = 0
    for path in images:
        begun = time.perf_counter()
        try:
            planes = load_planes(path, color=False)
            decoded_ms = (time.perf_counter() - begun) * 1000
            seen = reader.read(planes.luma)
        except (BrokenFrameError, PictureError) as error:
            wrong += 1
            name = "" if str(path) in str(error) else f"{path}: "
            print(f"reader: read: {name}{error}", file=sys.stderr, flush=True)
            print(json.dumps({"image": str(path), "error": str(error)}), flush=True)
            continue
        ms = {"load": decoded_ms, **seen.ms}
        facts = {
            "image": str(path),
            "plates": [plate_facts(reading) for reading in seen.readings],
            "ms": {stage: round(value, 2) for stage, value in ms.items()},
        }
        print(json.dumps(facts), flush=True)
    return FOUND_WRONG if wrong else DONE


def plate_facts(reading: PlateReading) -> dict[str, Any]:
    """One plate as JSON values; box and corners in px of the picture."""
    text = reading.text
    return {
        "box": [round(value, 1) for value in reading.box.box],
        "corners": [[round(x, 1), round(y, 1)] for x, y in reading.box.corners],
        "text": text.text,
        "confidence": round(text.confidence, 4),
        "char_confidences": [round(value, 4) for value in text.char_confidences],
        "candidates": [[candidate, round(probability, 4)] for candidate, probability in text.candidates],
        "jurisdiction": jurisdiction_of(text),
    }
