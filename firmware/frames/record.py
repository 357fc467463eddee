"""Turns an ended pass into a record of the ledger. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.jurisdictions import NAMED_FROM
from detector.plates import PlateText
from firmware.frames.pipeline import EndedPass
from storage.read_records import Position, Read
from storage.record_base import ClockState


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all reads of this run have in common."""

    camera: str
    position: Position | None
    lane: int | None
    models: tuple[tuple[str, bytes], ...]
    software: str
    demo: bool


def read_of(ended: EndedPass, around: Surroundings) -> Read:
    """The record of one vehicle's pass. Raises RecordError if the pass does not fit in a record."""
    vehicle, captured = ended.vehicle, ended.frame.captured
    return Read(
        text=vehicle.text.text,
        confidence=min(1.0, max(0.0, vehicle.text.confidence)),
        jurisdiction=jurisdiction_of(vehicle.text),
        slots=np.ascontiguousarray(vehicle.text.slots, dtype="<f4").tobytes(),
        candidates=vehicle.text.candidates,
        direction=vehicle.direction,
        lane=around.lane,
        first_us=vehicle.first_us,
        last_us=vehicle.last_us,
        time_error_us=captured.error_us,
        clock_state=ClockState(captured.state.value),
        position=around.position,
        camera=around.camera,
        frames_voted=vehicle.frames_voted,
        plate_box=vehicle.best_box.box,
        corners=vehicle.best_box.corners,
        models=around.models,
        software=around.software,
        demo=around.demo,
    )


def jurisdiction_of(text: PlateText) -> str | None:
    """The most probable issuing state, if it is more than a guess."""
    if text.jurisdiction and text.jurisdiction[0][1] >= NAMED_FROM:
        return text.jurisdiction[0][0]
    return None
