"""The pictures of an evaluation: a contact sheet of the worst mistakes, and plots (extra train)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .curves import open_pyplot
from .datasets import Picture
from .measure import Measured
from .metrics import PlateOutcome, precision_at_coverage

TILE = (200, 96)
COLUMNS = 6
LEAST_READ = 10  # a curve of fewer texts means nothing


def contact_sheet(outcomes: Sequence[PlateOutcome], pictures: Sequence[Picture]) -> Image.Image:
    """Tiles of the plates that were misread or not found, surest first, each with truth and reading."""
    wrong = [o for o in outcomes if o.truth and not o.exact_folded]
    wrong.sort(key=lambda o: -o.confidence)
    by_name = {(picture.dataset, picture.path.name): picture for picture in pictures}
    shown = wrong[:72]
    rows = max(-(-len(shown) // COLUMNS), 1)
    sheet = Image.new("L", (TILE[0] * COLUMNS, (TILE[1] + 28) * rows), 0)
    draw = ImageDraw.Draw(sheet)
    for index, outcome in enumerate(shown):
        picture = by_name[outcome.dataset, outcome.image]
        left, top = index % COLUMNS * TILE[0], index // COLUMNS * (TILE[1] + 28)
        sheet.paste(_cut(picture, outcome), (left, top))
        said = f"{outcome.truth} {outcome.region} {outcome.dataset}"
        draw.text((left + 2, top + TILE[1]), said, fill=255)
        draw.text(
            (left + 2, top + TILE[1] + 13),
            f"{outcome.read or 'not found'} {outcome.confidence:.2f}",
            fill=200,
        )
    return sheet


def _cut(picture: Picture, outcome: PlateOutcome) -> Image.Image:
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


def plots(measured: Measured, figures: dict[str, Any], folder: Path) -> None:
    """Writes coverage.png (precision against plates kept), reliability.png and conditions.png."""
    pyplot = open_pyplot()
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name in sorted({o.dataset for o in measured.outcomes if o.truth}):
        group = [o for o in measured.outcomes if o.dataset == name and o.truth]
        confidence, right = _read(group)
        if len(confidence) < LEAST_READ:
            continue
        rows = precision_at_coverage(confidence, right, len(group))
        axes.plot([row[2] for row in rows], [row[1] for row in rows], label=name)
    axes.set(xlabel="share of plates kept", ylabel="precision of the texts", ylim=(0.4, 1.01))
    if axes.lines:
        axes.legend(fontsize=6)
    figure.savefig(folder / "coverage.png", dpi=110)
    confidence, right = _read([o for o in measured.outcomes if o.truth])
    figure, axes = pyplot.subplots(figsize=(4, 4))
    for part in np.array_split(np.argsort(confidence), 12):
        if len(part):
            axes.plot(confidence[part].mean(), right[part].mean(), "o", color="C0")
    axes.plot([0, 1], [0, 1], color="gray")
    axes.set(xlabel="confidence", ylabel="share right", title="plates of equal number in each dot")
    figure.savefig(folder / "reliability.png", dpi=110)
    conditions = figures["conditions"]
    figure, panels = pyplot.subplots(1, len(conditions), figsize=(4 * len(conditions), 3.5), squeeze=False)
    for axes, (name, parts) in zip(panels[0], conditions.items(), strict=True):
        places = range(len(parts))
        for key, label in (("recall_50", "found"), ("exact_folded", "read, O/0 and I/1 as one")):
            axes.plot(places, [row[key] for row in parts.values()], "o-", label=label)
        axes.set_xticks(places, [f"{part}\n({row['plates']})" for part, row in parts.items()], fontsize=6)
        axes.set(title=name, ylim=(0, 1.02))
        axes.legend(fontsize=6)
    figure.savefig(folder / "conditions.png", dpi=110)
    pyplot.close("all")


def float_plot(int8: dict[str, Any], real: dict[str, Any], folder: Path) -> None:
    """Writes float_int8.png: texts read by float and int8 nets, a pair of bars for each set."""
    pyplot = open_pyplot()
    names = [name for name in int8["sets"] if name in real["sets"]]
    figure, axes = pyplot.subplots(figsize=(1.2 * len(names) + 2, 3.5))
    for shift, (label, result) in ((-0.2, ("float", real)), (0.2, ("int8", int8))):
        shares = [result["sets"][name]["exact_folded"] for name in names]
        axes.bar(np.arange(len(names)) + shift, shares, 0.4, label=label)
    axes.set_xticks(range(len(names)), names, fontsize=6)
    axes.set(ylabel="texts read, O/0 and I/1 as one", ylim=(0, 1.02))
    axes.legend(fontsize=6)
    figure.savefig(folder / "float_int8.png", dpi=110)
    pyplot.close("all")


def _read(group: Sequence[PlateOutcome]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The confidence of each text that was read, and whether it is right."""
    read = [o for o in group if o.read is not None]
    return np.array([o.confidence for o in read]), np.array([o.exact_folded for o in read], np.bool_)
