"""Hours of replay with injected trouble, and an account of it: `make soak SOAK_MINUTES=120`.

The clip is played round after round at its own pace. At random times the camera falls silent and hangs, the
disk is full for a while, or the clock steps. Wrong, and exit status 1: a stall over 10 s, one that is not in
the log, an announced read that is not, a read lost while the disk had room, a store that does not verify,
memory that grows.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from detector.reader import PlateReader
from detector.track import Tracker
from firmware.bench import CLIP
from firmware.bookkeeper import Bookkeeper
from firmware.custody import create_ledger
from firmware.log import event_log
from firmware.pipeline import Pipeline
from firmware.record import Surroundings, software_version
from hw.camera import Camera, CameraSource, Frame
from hw.camera_replay import ReplaySource
from hw.camera_watch import BlindSpell, WatchedCamera
from hw.clock import SystemClock, UtcTime
from hw.errors import BrokenFrameError, CameraStalledError
from storage.home import Home
from storage.ledger import KEEP_FREE, Ledger
from storage.records import Gap, Read
from storage.verify import verify_home

BACK_WITHIN_S = 10.0
FULL_DISK_S = 20.0
GROWTH_MB = 64.0  # after the first tenth of the run, when every buffer has been used once
LOOK_S = 0.5


@dataclass(slots=True, kw_only=True)
class Account:
    """What a soak came to; `wrong` names everything that broke a promise."""

    minutes: float
    frames: int = 0
    broken_frames: int = 0
    stalls: int = 0
    longest_blind_s: float = 0.0
    blind_s: float = 0.0
    gaps_recorded: int = 0
    full_disks: int = 0
    clock_steps: int = 0
    announced: int = 0
    stored: int = 0
    lost_to_full_disk: int = 0
    frames_dropped: int = 0
    memory_early_mb: float = 0.0
    memory_late_mb: float = 0.0
    wrong: list[str] = field(default_factory=list)


class SteppedClock:
    """The system clock, moved by whole seconds now and then."""

    def __init__(self) -> None:
        self._inner = SystemClock()
        self._offset_us = 0

    def now(self) -> UtcTime:
        """See Clock.now."""
        return self._inner.now().shifted(self._offset_us)

    def step(self, seconds: float) -> None:
        """Move the clock."""
        self._offset_us += round(seconds * 1e6)


class StallingSource:
    """A source whose camera hangs when told to, as picamera2 does; opening it again cures it."""

    live = True

    def __init__(self, inner: CameraSource) -> None:
        self._inner = inner
        self._hang = threading.Event()
        self.interval_s = inner.interval_s

    def open(self) -> Camera:
        """See CameraSource.open."""
        self._hang = threading.Event()
        return _HangingCamera(self._inner.open(), self._hang)

    def stall(self) -> None:
        """The camera that is open now delivers nothing any more."""
        self._hang.set()


class _HangingCamera:
    def __init__(self, inner: Camera, hang: threading.Event) -> None:
        self._inner = inner
        self._hang = hang
        self._closed = threading.Event()

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        if self._hang.is_set():
            self._closed.wait(60)
            raise CameraStalledError("hung on purpose")
        with self._inner.borrow() as frame:
            yield frame

    def close(self) -> None:
        self._closed.set()
        self._inner.close()


class Soak:
    """One soak over one home."""

    def __init__(self, home: Path, source: Path, minutes: float, stalls: int, seed: int) -> None:
        self.account = Account(minutes=minutes)
        self._home = home
        self._draw = random.Random(seed)  # noqa: S311 - reproducible trouble, no secret
        self._clock = SteppedClock()
        self._source = StallingSource(ReplaySource(source, clock=self._clock, live=True, rounds=None))
        self._announced: dict[int, Read] = {}
        self._full_until_s = 0.0
        self._every_s = minutes * 60 / max(1, stalls)

    def run(self) -> Account:
        """Soak, then account."""
        with create_ledger(self._home, clock=self._clock) as ledger:
            real = ledger.free_bytes
            ledger.free_bytes = lambda: KEEP_FREE - 1 if time.monotonic() < self._full_until_s else real()
            camera, pipeline, bookkeeper = self._wire(ledger)
            pipeline.start()
            try:
                self._trouble(pipeline)
            finally:
                pipeline.stop()
                camera.close()
                pipeline.join()
                bookkeeper.close()
            self._count(pipeline, camera)
            self._check_log(ledger)
        report = verify_home(Home(self._home))
        if not report.ok:
            self.account.wrong.append(f"the store does not verify: {report.findings[0].what}")
        return self.account

    def _wire(self, ledger: Ledger) -> tuple[WatchedCamera, Pipeline, Bookkeeper]:
        reader = PlateReader.from_models()
        around = Surroundings(
            camera="soak", position=None, lane=None, models=(), software=software_version(), demo=True
        )
        bookkeeper = Bookkeeper(
            ledger,
            around,
            clock=self._clock,
            overview_quality=85,
            announce=self._announced.__setitem__,
            log=event_log(),
        )

        def on_blind(spell: BlindSpell) -> None:
            bookkeeper.blind(spell)
            self.account.longest_blind_s = max(self.account.longest_blind_s, spell.blind_s)
            if spell.blind_s > BACK_WITHIN_S:
                self.account.wrong.append(f"blind for {spell.blind_s:.1f} s")

        camera = WatchedCamera(self._source, clock=self._clock, on_blind=on_blind)
        pipeline = Pipeline(
            camera,
            reader,
            Tracker(reader.decoding),
            store=bookkeeper.store,
            live=True,
            on_frame=_nothing,
            on_broken=self._broken,
            on_progress=_nothing,
        )
        return camera, pipeline, bookkeeper

    def _broken(self, error: BrokenFrameError) -> None:
        self.account.broken_frames += 1
        if self.account.broken_frames == 1:
            self.account.wrong.append(f"a picture did not decode: {error}")

    def _trouble(self, pipeline: Pipeline) -> None:
        account, began_s = self.account, time.monotonic()
        ends_s = began_s + account.minutes * 60
        next_s = began_s + self._every_s * 0.5
        while (now_s := time.monotonic()) < ends_s and pipeline.running:
            if not account.memory_early_mb and now_s - began_s > account.minutes * 6:
                account.memory_early_mb = resident_mb()
            if now_s >= next_s and now_s < ends_s:
                next_s += self._every_s
                self._source.stall()
                account.stalls += 1
                other = self._draw.random()
                if other < 0.2:
                    self._full_until_s = now_s + min(FULL_DISK_S, self._every_s / 2)
                    account.full_disks += 1
                elif other < 0.4:
                    self._clock.step(self._draw.choice((-3600.0, -5.0, 5.0, 3600.0)))
                    account.clock_steps += 1
            time.sleep(LOOK_S)
        account.memory_late_mb = resident_mb()

    def _count(self, pipeline: Pipeline, camera: WatchedCamera) -> None:
        account, counts = self.account, pipeline.counts
        account.frames, account.frames_dropped = counts.frames, counts.dropped
        account.blind_s = camera.blind_s
        account.announced, account.stored = len(self._announced), counts.stored
        account.lost_to_full_disk = counts.lost_passes
        if counts.passes != counts.stored + counts.lost_passes:
            account.wrong.append("a pass was neither stored nor counted as lost")
        if counts.lost_passes and not account.full_disks:
            account.wrong.append(f"{counts.lost_passes} reads lost while the disk had room")
        if account.memory_early_mb and account.memory_late_mb - account.memory_early_mb > GROWTH_MB:
            account.wrong.append(f"memory grew by {account.memory_late_mb - account.memory_early_mb:.0f} MB")

    def _check_log(self, ledger: Ledger) -> None:
        account = self.account
        gaps = [
            ledger.store.record(number)
            for number in range(ledger.status().records)
            if ledger.store.leaf(number).kind == Gap.KIND
        ]
        blind = [gap for gap in gaps if isinstance(gap, Gap) and gap.reason.startswith("camera: ")]
        account.gaps_recorded = len(blind)
        if len(blind) < account.stalls:
            account.wrong.append(f"{account.stalls} stalls, {len(blind)} gaps in the log")
        lost = sum(gap.lost for gap in gaps if isinstance(gap, Gap))
        if lost != account.lost_to_full_disk:
            account.wrong.append(f"{account.lost_to_full_disk} reads lost, the log says {lost}")
        for number, read in self._announced.items():
            if ledger.read(number) != read:
                account.wrong.append(f"announced read {number} is not in the log as it was announced")


def _nothing(_event: object) -> None:
    """Nobody watches a soak."""


def resident_mb() -> float:
    """Resident memory of this process now, from /proc."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main(argv: list[str] | None = None) -> int:
    """Soak and print the account."""
    parser = argparse.ArgumentParser(
        prog="python -m firmware.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--stalls", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", type=Path, default=CLIP, help="folder of pictures (default: the clip)")
    parser.add_argument("--home", type=Path, help="a new home (default: one that goes at the end)")
    args = parser.parse_args(argv)
    scratch: AbstractContextManager[str] = tempfile.TemporaryDirectory(prefix="alpr-soak-")
    with scratch as folder:
        home = args.home or Path(folder) / "home"
        account = Soak(home, args.source, args.minutes, args.stalls, args.seed).run()
    print(json.dumps(asdict(account), indent=2))
    return 1 if account.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
