"""Draws the plate that tests the nets at every start: ``python -m detector.training.known_plate``.

It writes ``detector/models/known-plate.png`` and prints its text, for ``detector.reader.KNOWN_TEXT``.
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image

from ..reader import KNOWN_PLATE
from .render import render_plate
from .trials import Kind, draw_picture

SEED = [79, 4]
KNOWN = Kind(draw=lambda rng: render_plate(rng, jurisdiction="US-CA"), width=(170.0, 170.0), yaw=(0.0, 0.1))


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m detector.training.known_plate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m detector.training.known_plate",
    )
    parser.parse_args(argv)
    luma, text = draw_picture(np.random.default_rng(SEED), KNOWN)
    Image.fromarray(luma).save(KNOWN_PLATE, optimize=True)
    print(f"{KNOWN_PLATE}: {text}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
