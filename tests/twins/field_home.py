"""The real unit behind the console, in its own home: a ledger on disk, a camera that the test feeds."""

from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ed25519

from firmware.console.field_unit import FieldUnit, Parts
from firmware.console.plate_spots import Spots
from firmware.custody.opening import create_ledger, open_ledger
from firmware.health.report import HealthWatch
from firmware.run.prepared_home import prepare_home
from firmware.settings.config import CameraSettings
from hw.camera import Frame
from hw.clock import SetClock
from hw.errors import CameraStalledError, MissingDriverError
from hw.machine import RememberedMachine
from hw.vitals import ScriptedBoard
from storage.ledger import Ledger
from storage.read_records import Read
from storage.record_base import ClockState
from sync.membership import Member, SyncFolder

COMMAND = ed25519.Ed25519PrivateKey.generate()
NOW_US = 1_795_000_000_000_000


def a_read() -> Read:
    return Read(
        text="7ABC123", confidence=0.9, first_us=NOW_US, last_us=NOW_US, time_error_us=1,
        clock_state=ClockState.DISCIPLINED, camera="test", plate_box=(0.0, 0.0, 1.0, 1.0),
    )  # fmt: skip


def a_frame(width: int, height: int) -> Frame:
    """A dark frame."""
    return Frame(
        luma=np.zeros((height, width), np.uint8), chroma=None, lores=None, sequence=0, exposure_us=None,
        gain=None, captured=SetClock(NOW_US).now(), source="test",
    )  # fmt: skip


def enroll(home: Path) -> SyncFolder:
    """Write the files of an enrollment in a department whose command key the test holds."""
    folder = SyncFolder.of(home)
    folder.make()
    key = COMMAND.public_key().public_bytes_raw()
    folder.save_member(
        Member(
            department="d", unit_id="unit-7", name="car-12", unit_address="127.0.0.1:1",
            front_address="x:1",
            department_key=key, command_key=key, authority=b"", root=b"",
        )
    )  # fmt: skip
    folder.inbox.mkdir(exist_ok=True)
    return folder


class Home:
    """A home with its unit; `frames` are what the camera gives."""

    def __init__(self, path: Path, *, born_us: int | None = None) -> None:
        """born_us: the time when the log is made; by default, not the test's time."""
        self.path, self.machine = path, RememberedMachine({"depot": "secret"})
        self.clock = SetClock(NOW_US if born_us is None else born_us)
        if born_us is not None:
            create_ledger(path, clock=self.clock).close()
        prepare_home(path)
        self.ledger: Ledger = open_ledger(path, clock=self.clock)
        self.frames: list[Frame] = []
        self.tuned: list[CameraSettings] = []
        self.camera_gone = False
        self.not_taken = ""
        self.unit = FieldUnit(
            Parts(
                home=path, ledger=self.ledger, clock=self.clock, board=ScriptedBoard(), machine=self.machine,
                health=HealthWatch(board=ScriptedBoard(), now=self.clock.now), newest=self._newest,
                find=lambda _frame: Spots(plates=(), blots=()), sync_now=lambda: "done",
                join=lambda _code: "joined", retune=self._retune,
            )
        )  # fmt: skip

    def _retune(self, settings: CameraSettings) -> str:
        if self.camera_gone:
            raise MissingDriverError("no camera")
        self.tuned.append(settings)
        return self.not_taken

    def _newest(self) -> Frame:
        if not self.frames:
            raise CameraStalledError("no frame")
        return self.frames[-1]

    def enroll(self) -> SyncFolder:
        """See `enroll`."""
        return enroll(self.path)
