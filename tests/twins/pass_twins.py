"""Rendered passes without pictures: what a good reader would read in each frame of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from detector_twins import as_asked, reading

from detector.plates import PlateBox, PlateReading, VehiclePass
from detector.track import Tracker
from detector.training.evaluate_passes import ClipOutcome, compare
from detector.training.render.passes import VIEW, Clip
from detector.training.render.passes_picture import SeenPlate, seen_without_picture
from detector.vote import Decoding

LEAST_PX = 20.0  # narrower plates are not found
SHAPE = (VIEW.height_px, VIEW.width_px)


def play_without_pictures(clip: Clip, decoding: Decoding) -> ClipOutcome:
    """Run a clip through tracker and vote. The visible part of each plate is read, in a box around it."""
    rng = np.random.default_rng(clip.seed)
    tracker = Tracker(decoding)
    passes: list[VehiclePass] = []
    shown: list[tuple[SeenPlate, ...]] = []
    for number in range(clip.frames):
        shake = rng.normal(0, clip.shake_px, 2) if clip.shake_px else np.zeros(2)
        plates = seen_without_picture(clip, number, shake)
        seen = [one for plate in plates if (one := _read(rng, clip, plate)) is not None]
        time_us = round(clip.time_s(number) * 1e6)
        passes += tracker.update(number, time_us, SHAPE, as_asked(tracker, seen)).ended
        shown.append(plates)
    return compare(clip, [*passes, *tracker.flush()], shown)


def _read(rng: np.random.Generator, clip: Clip, plate: SeenPlate) -> PlateReading | None:
    """The visible characters, with a box around them that errs by a few percent."""
    text = clip.rides[plate.ride].text
    if plate.width_px < LEAST_PX or plate.shows < 0.35:
        return None
    hidden = round((1 - plate.shows) * len(text))
    left_hidden = bool(plate.corners[:, 0].min() < VIEW.width_px / 2) if hidden else False
    text = text[hidden:] if left_hidden else text[: len(text) - hidden]
    low, high = plate.corners.min(axis=0), plate.corners.max(axis=0)
    span = high - low
    lost = span[0] * (1 - plate.shows)
    low[0] += lost if left_hidden else 0.0
    high[0] -= 0.0 if left_hidden else lost
    low += rng.normal(0, 0.015, 2) * span
    high += rng.normal(0, 0.015, 2) * span
    corners = ((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]))
    box = PlateBox(corners=tuple((float(x), float(y)) for x, y in corners), confidence=0.8)  # type: ignore[arg-type]
    if len(text) < 2:
        return None
    seen = reading(text, box, sure=7.0, noise=0.5, seed=int(rng.integers(40)))
    outside = (plate.corners < 0) | (plate.corners >= (VIEW.width_px, VIEW.height_px))
    cut = bool(outside.any())
    return replace(
        seen, evidence=replace(seen.evidence, aspect=box.aspect, cut=cut, trust=0.4 if cut else 1.0)
    )


def wrong(outcomes: Sequence[ClipOutcome]) -> list[str]:
    """Every deviation from one pass per vehicle with the right text, one line each."""
    return [
        f"clip {clip.seed}, {clip.kind}, {clip.fps:g} frames/s: {one.truth} {one.passes}x as {one.text!r}"
        for clip in outcomes
        for one in clip.vehicles
        if one.countable and not (one.right and one.passes == 1)
    ]
