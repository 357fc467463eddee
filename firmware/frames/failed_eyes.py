"""Stand-ins for nets or a camera source that cannot be used: the rest of an enrolled unit keeps running.

Such a unit still purges, syncs and serves its console. If it ended because of its nets, it would do none of
that, and its department would only notice its silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from detector.card import ConfidenceRules, TextRules
from detector.errors import DetectorError, NetAnswerError
from detector.frame_average import View
from detector.jurisdictions import FormatPrior
from detector.plates import FrameReadings, PlateBox
from detector.reader import PlateReader
from detector.vote import Decoding
from firmware.frames.sources import TunableSource
from firmware.settings.config import CameraSettings
from hw.camera import Camera, CameraSource
from hw.camera_drop import DropFolder
from hw.errors import HardwareError

NETS = "plate-*.tflite"
SIZE = (448, 768)  # of the shipped detector, so that the camera's small stream keeps its size


class FailedEyes:
    """Refuses every frame with the reason. net_size: (height, width) of the camera's small stream."""

    net_size = SIZE
    decoding = Decoding(TextRules(jurisdictions=()), ConfidenceRules(), FormatPrior(()))
    model_hashes: Mapping[str, str] = {}

    def __init__(self, error: DetectorError) -> None:
        """error: why the nets cannot be used."""
        self.why = error if isinstance(error, NetAnswerError) else NetAnswerError(NETS, str(error))

    def read(
        self,
        luma: NDArray[np.uint8],  # noqa: ARG002 - see firmware.frames.pipeline.Eyes
        lores: NDArray[np.uint8] | None = None,  # noqa: ARG002
        *,
        wanted: Callable[[PlateBox], bool | str] | None = None,  # noqa: ARG002
    ) -> FrameReadings:
        """Always raises NetAnswerError."""
        raise self.why

    def refuse(self) -> CameraSource:
        """Replaces a source whose pictures wait. Always raises NetAnswerError."""
        raise self.why

    @staticmethod
    def see_together(_views: Sequence[View]) -> None:
        """Do nothing, since there are no passes."""

    @staticmethod
    def turned(_patch: NDArray[np.uint8]) -> int:
        """Return 0, since no pass shows how the camera hangs."""
        return 0


class LateSource:
    """A camera source that is missing but may appear: a folder on a disk that is not yet mounted, a driver.

    See hw.camera.CameraSource. Each opening tries again, and the time until it succeeds is blind time.
    """

    live = True

    def __init__(self, make: Callable[[], CameraSource], interval_s: float, *, waits: bool) -> None:
        self._make = make
        self.interval_s, self.waits = interval_s, waits

    def open(self) -> Camera:
        """See CameraSource.open. Also raises what `make` raises."""
        return self._make().open()


def load_eyes(
    threads: int, *, patient: bool, log: structlog.typing.FilteringBoundLogger
) -> PlateReader | FailedEyes:
    """Load the shipped nets. If they cannot be used: FailedEyes if `patient`, else raises DetectorError."""
    try:
        return PlateReader.from_models(threads=threads)
    except DetectorError as error:
        if not patient:
            raise
        log.error("nets_failed", reason=str(error))  # noqa: TRY400 - the reason is all there is to say
        return FailedEyes(error)


def tunable_source(
    make: Callable[[CameraSettings], CameraSource],
    settings: CameraSettings,
    *,
    eyes: PlateReader | FailedEyes,
    waits: bool,
    patient: bool,
    log: structlog.typing.FilteringBoundLogger,
) -> TunableSource:
    """The camera source. If it is missing: a LateSource if `patient`, else raises HardwareError.

    waits: whether its pictures stay in place until they are taken; then none is taken without nets.
    """
    if waits and isinstance(eyes, FailedEyes):
        kept = LateSource(eyes.refuse, DropFolder.interval_s, waits=True)
        return TunableSource(lambda _settings: kept, settings)
    try:
        return TunableSource(make, settings)
    except HardwareError as error:
        if not patient:
            raise
        log.error("camera_missing", kind=type(error).__name__)  # noqa: TRY400 - a file may be named by its plate
        return TunableSource(
            lambda newest: LateSource(
                lambda: make(newest), DropFolder.interval_s if waits else 1 / newest.fps, waits=waits
            ),
            settings,
        )
