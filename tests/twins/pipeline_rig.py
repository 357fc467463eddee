"""A pipeline over a folder of pictures: a real ledger, the real tracker, scripted eyes."""

from __future__ import annotations

import io
import threading
from pathlib import Path

from camera_twins import WatchdogTime
from scripted_eyes import DECODING, ScriptedEyes, write_drive
from waiting import PATIENCE_S

from detector.track import Tracker
from detector.way_up import WayUp
from firmware.custody.bookkeeper import Bookkeeper
from firmware.frames.pipeline import Pipeline
from firmware.frames.record import Surroundings
from hw.camera_replay import ReplaySource
from hw.camera_watch import WatchedCamera
from hw.clock import SystemClock
from storage.audit_records import Gap
from storage.errors import DamagedError
from storage.ledger import Ledger
from storage.read_records import Position, Read
from sync.event_log import event_log

AROUND = Surroundings(camera="test", position=None, lane=2, models=(), software="test", demo=True)


class Rig:
    """A pipeline over a folder of pictures."""

    def __init__(
        self,
        ledger: Ledger,
        eyes: ScriptedEyes,
        source: object,
        *,
        live: bool = False,
        gather_s: float = 0.0,
        wanted: str = "",
        watchdog: WatchdogTime | None = None,
        waits: bool = False,
        queue_passes: int = 16,
        way_up: WayUp | None = None,
    ) -> None:
        """waits: the source keeps frames that are not taken, until `ended`. wanted: the text on a hot list;
        hits are added to `met`. watchdog: the watchdog's clock.
        """
        self.ended = threading.Event()
        self.met: list[str] = []
        self.damaged: list[DamagedError] = []
        self.looks = False  # whether a look at the store is under way
        self.announced: list[tuple[int, Read]] = []
        self.log = io.StringIO()
        self.clock = SystemClock()
        self.asked_us: list[int] = []
        self.ledger = ledger
        self.bookkeeper = Bookkeeper(
            ledger,
            AROUND,
            clock=self.clock,
            overview_quality=85,
            announce=lambda number, read: self.announced.append((number, read)),
            log=event_log(self.log),
            position=self.where,
            matches=lambda ended: ended.vehicle.text.text == wanted,
            met=lambda number, _alerts: self.met.append(ledger.read(number).text),
            undecided=self._is_looked_at,
            waits=lambda: waits and not self.ended.is_set(),
        )
        self.camera = WatchedCamera(
            source,  # type: ignore[arg-type]
            clock=watchdog or self.clock,
            on_blind=self.bookkeeper.blind,
            monotonic=watchdog.monotonic if watchdog else lambda: 0.0,
        )
        self.pipeline = Pipeline(
            self.camera,
            eyes,
            Tracker(DECODING),
            store=self.bookkeeper.store,
            live=live,
            queue_frames=4,
            queue_passes=queue_passes,
            on_frame=lambda frame: None,
            on_broken=lambda error: None,
            on_progress=lambda progress: None,
            urgent=lambda ended: ended.vehicle.text.text == wanted,
            gather_s=gather_s,
            way_up=way_up,
        )

    def _is_looked_at(self, error: Exception) -> bool:
        if isinstance(error, DamagedError):
            self.damaged.append(error)
        return self.looks

    def where(self, ago_s: float) -> Position | None:
        self.asked_us.append(self.clock.now().us - round(ago_s * 1e6))
        return None

    def run(self) -> None:
        self.pipeline.start()
        self.pipeline.join(PATIENCE_S)
        self.camera.close()
        self.bookkeeper.close()

    @property
    def texts(self) -> list[str]:
        return [read.text for _, read in self.announced]


def drive(tmp_path: Path, passes: list[tuple[str, int]]) -> tuple[ReplaySource, ScriptedEyes]:
    names = write_drive(tmp_path / "pictures", passes)
    return ReplaySource(tmp_path / "pictures", clock=SystemClock()), ScriptedEyes(names)


THREE = [("LS15EBC", 8), ("7ABC123", 10), ("XR72KLM", 6)]


def gaps_of(ledger: Ledger) -> list[Gap]:
    numbers = range(ledger.status().records)
    records = [ledger.store.record(n) for n in numbers if ledger.store.leaf(n).kind == Gap.KIND]
    return [record for record in records if isinstance(record, Gap)]
