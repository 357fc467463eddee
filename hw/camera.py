"""Frames, and the contract of every camera: frames are borrowed one at a time and given back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hw.clock import UtcTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture as the sensor saw it; until given back, its arrays may be the camera's own buffers."""

    luma: NDArray[np.uint8]  # (H, W) full-resolution Y plane, full range 0 to 255
    chroma: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None  # U and V, (ceil(H/2), ceil(W/2)); None = gray
    lores: NDArray[np.uint8] | None  # small luma of the same field of view, or None
    sequence: int  # increases by one per frame of this source; a gap means lost frames
    captured: UtcTime  # start of the exposure
    exposure_us: int | None
    gain: float | None
    source: str  # name of the camera or file, only for messages

    def owned(self) -> Frame:
        """A copy in its own memory, valid after the camera has its buffer back."""
        chroma = None if self.chroma is None else (_own(self.chroma[0]), _own(self.chroma[1]))
        lores = None if self.lores is None else _own(self.lores)
        return replace(self, luma=_own(self.luma), chroma=chroma, lores=lores)

    @property
    def size_bytes(self) -> int:
        """Memory that the pixels take, in bytes."""
        planes = [self.luma, *(self.chroma or ()), *(() if self.lores is None else (self.lores,))]
        return sum(plane.nbytes for plane in planes)


class Camera(Protocol):
    """A source of frames, implemented by the drivers and by the replay twin."""

    def borrow(self) -> AbstractContextManager[Frame]:
        """The next frame; its arrays are valid only inside the `with`.

        Raises EndOfSourceError when a replay is over; CameraStalledError when no frame comes;
        BrokenFrameError for a frame that cannot be decoded (the next borrow continues after it);
        PartFailedError.
        """

    def close(self) -> None:
        """Release the device; a second call does nothing."""


class CameraSource(Protocol):
    """Opens a camera, and opens it again after a stall; a replay continues where it stopped."""

    live: bool  # frames come in real time, so a slow reader must drop some
    interval_s: float  # time between two frames at the source's own pace

    def open(self) -> Camera:
        """A started camera. Raises MissingDriverError or PartFailedError."""


def _own(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if plane.base is None and plane.flags.owndata and plane.flags.c_contiguous:
        return plane
    return np.array(plane, dtype=np.uint8, order="C", copy=True)
