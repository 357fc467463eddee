"""The pictures of an evaluation: contact sheet of the worst mistakes, and plots (extra train)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from .datasets import Picture
from .metrics import Outcome, precision_at_coverage

if TYPE_CHECKING:
    from .evaluate import Measured

TILE = (200, 96)
COLUMNS = 6


def contact_sheet(outcomes: Sequence[Outcome], pictures: Sequence[Picture], most: int = 72) -> Image.Image:
    """Tiles of the plates read wrong or not found, the surest first, each with truth and reading."""
    wrong = [o for o in outcomes if o.truth and not o.exact_folded]
    wrong.sort(key=lambda o: -o.confidence)
    by_name = {(picture.dataset, picture.path.name): picture for picture in pictures}
    shown = wrong[:most]
    rows = max(-(-len(shown) // COLUMNS), 1)
    sheet = Image.new("L", (TILE[0] * COLUMNS, (TILE[1] + 28) * rows), 0)
    draw = ImageDraw.Draw(sheet)
    for index, outcome in enumerate(shown):
        picture = by_name[outcome.dataset, outcome.image]
        left, top = index % COLUMNS * TILE[0], index // COLUMNS * (TILE[1] + 28)
        sheet.paste(_cut(picture, outcome), (left, top))
        draw.text((left + 2, top + TILE[1]), f"{outcome.truth} {outcome.region}", fill=255)
        draw.text(
            (left + 2, top + TILE[1] + 13),
            f"{outcome.read or 'not found'} {outcome.confidence:.2f}",
            fill=200,
        )
    return sheet


def _cut(picture: Picture, outcome: Outcome) -> Image.Image:
    image = Image.fromarray(picture.luma())
    plates = [p for p in picture.plates if p.text == outcome.truth and p.box is not None]
    if plates and plates[0].box is not None:
        x, y, w, h = plates[0].box
        image = image.crop((int(x - w * 0.2), int(y - h * 0.4), int(x + w * 1.2), int(y + h * 1.4)))
    image.thumbnail((TILE[0] - 4, TILE[1] - 4))
    if image.width < TILE[0] // 2:
        scale = min((TILE[0] - 4) / image.width, (TILE[1] - 4) / image.height)
        image = image.resize((int(image.width * scale), int(image.height * scale)))
    return image


def plots(measured: Measured, folder: Path) -> None:
    """coverage.png (precision against plates kept) and reliability.png."""
    from matplotlib import pyplot  # noqa: PLC0415 - only the extra train has it

    pyplot.switch_backend("Agg")

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name in sorted({o.dataset for o in measured.outcomes if o.truth}):
        group = [o for o in measured.outcomes if o.dataset == name and o.truth]
        read = [o for o in group if o.read is not None]
        if len(read) < 10:
            continue
        confidence = np.array([o.confidence for o in read])
        right = np.array([o.exact_folded for o in read])
        rows = precision_at_coverage(confidence, right, len(group))
        axes.plot([row[2] for row in rows], [row[1] for row in rows], label=name)
    axes.set(xlabel="share of plates kept", ylabel="precision of the texts", ylim=(0.4, 1.01))
    axes.legend(fontsize=6)
    figure.savefig(folder / "coverage.png", dpi=110)
    read = [o for o in measured.outcomes if o.truth and o.read is not None]
    confidence = np.array([o.confidence for o in read])
    right = np.array([o.exact_folded for o in read])
    figure, axes = pyplot.subplots(figsize=(4, 4))
    for part in np.array_split(np.argsort(confidence), 12):
        if len(part):
            axes.plot(confidence[part].mean(), right[part].mean(), "o", color="C0")
    axes.plot([0, 1], [0, 1], color="grey")
    axes.set(xlabel="confidence", ylabel="share right")
    figure.savefig(folder / "reliability.png", dpi=110)
    pyplot.close("all")
