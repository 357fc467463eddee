"""Finds and reads the plates of one frame: the whole still-picture path behind one class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from .errors import DetectorError
from .plates import U8, Corners, FrameReadings, PlateBox, PlateReading


class PlateReader:
    """Two nets and the array code around them. Not thread-safe: one reader a thread."""

    @classmethod
    def from_models(cls, folder: Path | None = None, threads: int = 1) -> Self:
        """Loads both nets from ``folder`` (default: the shipped ``detector/models``).

        Raises MissingRuntimeError, MissingModelError, CardError, SwappedModelError, ModelShapeError.
        """
        raise DetectorError("no models yet")

    @property
    def model_hashes(self) -> dict[str, str]:
        """sha256 (hex) of each model file by its name."""
        raise DetectorError("no models yet")

    def read(
        self, luma: U8, lores: U8 | None = None, *, wanted: Callable[[PlateBox], bool] | None = None
    ) -> FrameReadings:
        """All plates of one frame. luma: uint8 (H, W); lores: uint8 (h, w) of the same field of view.

        ``wanted`` (a tracker's ``wants_text``) is asked for each box; False leaves it unread, for the
        pass that it belongs to is settled. Raises PictureError on an array of the wrong kind.
        """
        raise DetectorError("no models yet")

    def find(self, luma: U8, lores: U8 | None = None) -> tuple[PlateBox, ...]:
        """The boxes alone."""
        raise DetectorError("no models yet")

    def read_at(self, luma: U8, corners: Corners) -> PlateReading:
        """The text inside known corners. Raises DegenerateCornersError."""
        raise DetectorError("no models yet")
