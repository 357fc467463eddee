"""With unusable nets or camera, an enrolled unit still purges and syncs; a demo's run ends."""

from __future__ import annotations

import io
import shutil
import threading
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ed25519
from reader_process import CLIP, TWO_CARS
from waiting import PATIENCE_S, until

from detector.errors import DetectorError, MissingModelError, MissingRuntimeError, NetAnswerError
from detector.reader import PlateReader
from firmware.frames.failed_eyes import FailedEyes, tunable_source
from firmware.frames.sources import TunableSource
from firmware.health.health_file import newest_report
from firmware.run.field_parts import field_parts
from firmware.run.one_run import OneRun
from firmware.run.orders import Reason, StopRequest
from firmware.run.prepared_home import prepare_home
from firmware.run.run_result import RunOptions, RunResult
from firmware.settings.config import CameraSettings, load_config
from hw.camera_drop import DropFolder
from hw.clock import SystemClock
from hw.errors import NoSuchSourceError
from storage.home import Home
from storage.verify import verify_home
from sync.membership import Member, SyncFolder

BESIDE = {"purge", "uplink"}


class Background:
    """A run in its own thread, until `end`."""

    def __init__(self, home: Path, source: str) -> None:
        self.home, self.err, self._stop = home, io.StringIO(), StopRequest()
        self._options = RunOptions(source=source)
        self.result: RunResult | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        config = load_config(self.home)
        with field_parts(config, on_order=lambda _order: None) as parts:
            run = OneRun(self.home, config, parts, self._options, self._stop, None)
            self.result = run.carry_out(out=io.StringIO(), err=self.err)

    def end(self) -> RunResult:
        self._stop.ask(Reason.ASKED)
        self._thread.join(PATIENCE_S)
        assert self.result is not None, self.err.getvalue()
        return self.result


def enroll(home: Path) -> None:
    """Enroll as far as a run checks, with a department that does not answer."""
    folder = SyncFolder.of(home)
    folder.make()
    key = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    folder.save_member(
        Member(
            department="d", unit_id="unit-7", name="car-12", unit_address="127.0.0.1:1",
            front_address="127.0.0.1:1", department_key=key, command_key=key, authority=b"", root=b"",
        )
    )  # fmt: skip
    folder.inbox.mkdir(exist_ok=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    prepare_home(made)
    return made


def alarms(home: Path) -> list[str]:
    report = newest_report(home)
    return [] if report is None else list(report.alarms)


@pytest.mark.one_python
@pytest.mark.parametrize(
    "error",
    [
        NetAnswerError("plate-reader.tflite", "reads another text on known-plate.png"),
        MissingRuntimeError(("ai_edge_litert.interpreter",)),
        MissingModelError(Path("plate-detector.tflite"), "is not there", "install it again"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_unit_whose_nets_fail_reads_nothing_and_does_everything_else(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: DetectorError
) -> None:
    def refuse(*_words: object, **_names: object) -> PlateReader:
        raise error

    monkeypatch.setattr(PlateReader, "from_models", refuse)
    with field_parts(load_config(home), on_order=lambda _order: None) as parts:
        run = OneRun(home, load_config(home), parts, RunOptions(source=str(TWO_CARS)), StopRequest(), None)
        with pytest.raises(type(error)):  # not enrolled: the person at the demo sees it
            run.carry_out(out=io.StringIO(), err=io.StringIO())
    enroll(home)
    run_on = Background(home, str(TWO_CARS))
    until(lambda: "sensor_failed" in alarms(home))
    assert {thread.name for thread in threading.enumerate()} >= BESIDE
    result = run_on.end()
    assert result.frames > 0
    assert (result.stored, result.lost) == (0, 0)
    assert "nets_failed" in run_on.err.getvalue()
    assert verify_home(Home(home)).findings == []


def test_without_nets_the_pictures_of_a_drop_folder_wait(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object, **_names: object) -> PlateReader:
        raise NetAnswerError("plate-reader.tflite", "reads another text on known-plate.png")

    monkeypatch.setattr(PlateReader, "from_models", refuse)
    folder = tmp_path / "drop"
    folder.mkdir()
    shutil.copy(CLIP / "frame_0000.jpg", folder)
    enroll(home)
    run_on = Background(home, f"drop:{folder}")
    until(lambda: {"sensor_failed", "no_frames"} <= set(alarms(home)))
    assert run_on.end().frames == 0
    assert [path.name for path in folder.iterdir()] == ["frame_0000.jpg"]


def late(folder: Path, eyes: PlateReader | FailedEyes) -> TunableSource:
    """A drop folder that appears after its unit has started."""
    source = tunable_source(
        lambda _settings: DropFolder(folder, clock=SystemClock()), CameraSettings(),
        eyes=eyes, waits=True, patient=True, log=structlog.get_logger(),
    )  # fmt: skip
    folder.mkdir()
    return source


def test_without_nets_a_drop_folder_that_is_mounted_late_is_not_read(tmp_path: Path) -> None:
    source = late(tmp_path / "mnt", FailedEyes(NetAnswerError("plate-reader.tflite", "reads wrong")))
    with pytest.raises(NetAnswerError):
        source.open()


def test_a_drop_folder_that_is_mounted_late_may_be_quiet_for_as_long_as_any(tmp_path: Path) -> None:
    source = late(tmp_path / "mnt", object.__new__(PlateReader))
    source.open().close()
    assert source.interval_s == DropFolder.interval_s


def test_a_camera_folder_that_is_mounted_late_is_read_once_it_comes(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mnt"
    with field_parts(load_config(home), on_order=lambda _order: None) as parts:
        run = OneRun(home, load_config(home), parts, RunOptions(source=f"drop:{folder}"), StopRequest(), None)
        with pytest.raises(NoSuchSourceError):
            run.carry_out(out=io.StringIO(), err=io.StringIO())
    enroll(home)
    run_on = Background(home, f"drop:{folder}")
    until(lambda: "camera_missing" in run_on.err.getvalue())
    until(lambda: "no_frames" in alarms(home))
    assert {thread.name for thread in threading.enumerate()} >= BESIDE
    folder.mkdir()
    for number in range(3):
        shutil.copy(CLIP / f"frame_{number:04}.jpg", folder)
    until(lambda: (report := newest_report(home)) is not None and report.frames > 0)
    result = run_on.end()
    assert result.frames > 0
    assert result.blind_s > 0
    assert verify_home(Home(home)).findings == []
