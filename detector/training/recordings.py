"""Files of what the nets read in each frame of a clip, on which tracker and vote can be tried in moments.

A live reader asks the tracker which boxes it wants read. In a recording every box is read in full, and the
tracker gets what it asks for: the reading, a confirmed look or an unread box. Each clip is one ``.npz`` file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..ctc import spelt
from ..errors import DetectorError
from ..place_fit import runs_out
from ..plates import Confirmation, Evidence, FrameReadings, PlateBox, PlateReading, as_corners
from ..reader import PlateReader
from ..track import Tracker
from ..vote import Decoding, Vote
from .render.passes_picture import PassFrame, SeenPlate

VERSION = 2


class RecordingError(DetectorError):
    """A recording cannot be used. The text names the file, the problem and the cure."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}; delete the file, and its clip is rendered and read again")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedBox:
    """One box that the detector found. ``reading``: None if the reader's net saw no plate in it."""

    box: PlateBox
    reading: PlateReading | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedFrame:
    """One frame: what was found and read in it, and the plates that it truly shows.

    ``repeats``: the picture is the same as the one before, and nothing in it was read.
    """

    number: int
    time_us: int
    shape: tuple[int, int]
    repeats: bool
    boxes: tuple[RecordedBox, ...]
    plates: tuple[SeenPlate, ...]

    def as_asked(self, tracker: Tracker) -> FrameReadings:
        """The frame as a reader would give it: each box read, confirmed or unread, as the tracker wants."""
        readings: list[PlateReading] = []
        unread: list[PlateBox] = []
        confirmed: list[Confirmation] = []
        refused = tuple(one.box for one in self.boxes if one.reading is None)
        for one in self.boxes:
            if one.reading is None:
                continue
            wish = tracker.wants_text(one.box)
            if wish and wish == _first_text(one.reading.evidence):
                confirmed.append(self._confirmation(one.box, one.reading))
            elif wish:
                readings.append(one.reading)
            else:
                unread.append(one.box)
        return FrameReadings(
            readings=tuple(readings),
            unread=(*unread, *refused) if self.repeats else tuple(unread),
            confirmed=tuple(confirmed),
            refused=() if self.repeats else refused,
            repeats=self.repeats,
        )

    def _confirmation(self, box: PlateBox, reading: PlateReading) -> Confirmation:
        """As if the first look had been the only one, but with the last look's patch: no other is kept."""
        sureness = float(reading.evidence.columns[0].max(axis=1).astype(np.float64).prod())
        return Confirmation(box=box, patch=reading.patch, sureness=sureness, cut=runs_out(box, self.shape))


def _first_text(evidence: Evidence) -> str | None:
    """The first look's text; None for a plate read line by line, whose whole text is another."""
    return spelt(evidence.paths[0]) if evidence.lines == 1 and evidence.paths else None


def read_in_full(reader: PlateReader, frame: PassFrame) -> RecordedFrame:
    """Reads every box of a clip's next frame."""
    found: list[PlateBox] = []

    def every_box(box: PlateBox) -> bool:
        found.append(box)
        return True

    seen = reader.read(frame.luma, wanted=every_box)
    left = list(seen.readings)
    boxes = [RecordedBox(box=box, reading=None) for box in (*seen.refused, *seen.unread)]
    for box in found:
        if left and (left[0].evidence.score, left[0].evidence.aspect) == (box.confidence, box.aspect):
            boxes.append(RecordedBox(box=box, reading=left.pop(0)))
    return RecordedFrame(
        number=frame.number,
        time_us=frame.time_us,
        shape=frame.shape,
        repeats=seen.repeats,
        boxes=tuple(boxes),
        plates=frame.plates,
    )


def save(path: Path, frames: Sequence[RecordedFrame], models: dict[str, str]) -> None:
    """Writes a clip's recording, whole or not at all. models: the nets that read it, sha256 by file name."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    facts = [_facts(frame, index, arrays) for index, frame in enumerate(frames)]
    header = json.dumps({"version": VERSION, "models": models, "frames": facts}).encode()
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, header=np.frombuffer(header, np.uint8), **arrays)  # type: ignore[arg-type]
    part.replace(path)


def load(path: Path, decoding: Decoding, models: dict[str, str]) -> Iterator[RecordedFrame]:
    """The frames of a recording. Raises RecordingError if the file is damaged or other nets made it."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            if header["version"] != VERSION:
                raise RecordingError(path, "was recorded by another release")
            if header["models"] != models:
                raise RecordingError(path, "was recorded with other nets")
            for index, facts in enumerate(header["frames"]):
                yield _frame(facts, index, file, decoding)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise RecordingError(path, f"is no recording of a clip ({type(error).__name__})") from error


def _facts(frame: RecordedFrame, index: int, arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    boxes = []
    for number, one in enumerate(frame.boxes):
        told: dict[str, Any] = {"box": one.box.corners, "score": one.box.confidence}
        if one.reading is not None:
            seen, name = one.reading.evidence, f"{index}_{number}"
            arrays[f"columns_{name}"] = seen.columns
            arrays[f"patch_{name}"] = one.reading.patch
            arrays[f"jurisdiction_{name}"] = seen.jurisdiction
            if seen.slots is not None:
                arrays[f"slots_{name}"] = seen.slots
            if seen.place is not None:
                arrays[f"place_{name}"] = seen.place
            told |= {
                "corners": one.reading.box.corners,
                "plateness": one.reading.plateness,
                "evidence": {
                    "candidates": seen.candidates,
                    "paths": seen.paths,
                    "width_px": seen.width_px,
                    "score": seen.score,
                    "aspect": seen.aspect,
                    "cut": seen.cut,
                    "trust": seen.trust,
                    "strokes": seen.strokes,
                    "lines": seen.lines,
                },
            }
        boxes.append(told)
    return {
        "number": frame.number,
        "time_us": frame.time_us,
        "shape": frame.shape,
        "repeats": frame.repeats,
        "boxes": boxes,
        "plates": [(one.ride, one.shows, one.corners.tolist()) for one in frame.plates],
    }


def _frame(facts: dict[str, Any], index: int, file: Any, decoding: Decoding) -> RecordedFrame:
    boxes = []
    for number, told in enumerate(facts["boxes"]):
        box, reading = PlateBox(corners=as_corners(told["box"]), confidence=told["score"]), None
        if "evidence" in told:
            name = f"{index}_{number}"
            rest = dict(told["evidence"])
            rest |= {key: tuple(map(tuple, rest[key])) for key in ("candidates", "paths")}
            evidence = Evidence(
                columns=file[f"columns_{name}"],
                jurisdiction=file[f"jurisdiction_{name}"],
                slots=file.get(f"slots_{name}"),
                place=file.get(f"place_{name}"),
                **rest,
            )
            reading = PlateReading(
                box=PlateBox(corners=as_corners(told["corners"]), confidence=told["score"]),
                judged=Vote(decoding, (evidence,)),
                patch=file[f"patch_{name}"],
                evidence=evidence,
                plateness=told["plateness"],
            )
        boxes.append(RecordedBox(box=box, reading=reading))
    plates = [
        SeenPlate(ride=ride, shows=shows, corners=np.array(corners))
        for ride, shows, corners in facts["plates"]
    ]
    height, width = facts["shape"]
    return RecordedFrame(
        number=facts["number"],
        time_us=facts["time_us"],
        shape=(height, width),
        repeats=facts["repeats"],
        boxes=tuple(boxes),
        plates=tuple(plates),
    )
