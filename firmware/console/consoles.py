"""Builds consoles: for a running reader, and for a home without one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from firmware.console.bundles import remove_left
from firmware.console.enrolling import join_at_console
from firmware.console.errors import UnitRefusedError
from firmware.console.failed_logins import FailedLogins
from firmware.console.field_unit import FieldUnit, Parts
from firmware.console.grant_use import GrantUse, grant_use
from firmware.console.plate_spots import PlateSpots
from firmware.console.selftest import sounder_of
from firmware.console.service import serving
from firmware.console.session import Console
from firmware.console.unit import SelfTestLine
from firmware.custody.give_way import is_way_asked
from firmware.custody.home_parts import ShutParts
from firmware.custody.opening import custody_of, hear_department, sync_folder
from firmware.frames.frame_tap import FrameTap
from firmware.frames.sources import open_source
from firmware.health.health_message import health_message
from firmware.health.list_health import ListHealth
from firmware.health.report import HealthWatch
from firmware.settings.config import CameraSettings, Config
from hw.camera import Camera, Frame
from hw.clock import Clock, boottime_s
from hw.clock_discipline import DisciplinedClock
from hw.errors import CameraStalledError
from hw.lamps import Lamps
from hw.machine import SystemdMachine
from hw.serial_port import SerialPort
from hw.vitals import SysfsBoard
from storage.ledger import Ledger
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Runner

SYNC_WAIT_S = 120.0
ALONE = (
    "No reader runs on this unit, and none can start while you are logged in.\n"
    "Without a login, a reader that starts takes over."
)
AIM_SIZE = (360, 640)  # (height, width) of the camera's small picture while no reader runs


@contextlib.contextmanager
def consoles(
    home: Path,
    ledger: Ledger,
    *,
    clock: Clock,
    health: HealthWatch,
    tap: FrameTap,
    retune: Callable[[CameraSettings], str],
    lamps: Callable[[], Lamps] | None = None,
    fitted: Callable[[], Iterable[SelfTestLine]] = tuple,
) -> Iterator[Callable[[], bool]]:
    """Serve consoles from the reader's process, for the length of the `with`.

    Yields a function that returns whether a person is logged in. lamps: gives the self-test the reader's
    buzzer and alert lamp. fitted: the reader's self-test lines for other parts.
    """
    failures, use = FailedLogins(home / "console.lockout", boottime_s), grant_use(home, ledger)
    stopping = threading.Event()
    remove_left(SyncFolder.of(home))
    unit = FieldUnit(
        Parts(
            home=home, ledger=ledger, clock=clock, health=health, board=SysfsBoard(home),
            machine=SystemdMachine(), newest=tap.newest, find=PlateSpots(),
            sync_now=lambda: _ask_uplink(SyncFolder.of(home), stopping),
            join=partial(join_at_console, home, ledger),
            retune=retune, lamps=lamps, fitted=fitted,
        )
    )  # fmt: skip
    with serving(home, lambda port: _console(port, unit, ledger, failures, use)) as in_session:
        try:
            yield in_session
        finally:
            stopping.set()  # do not wait for an uplink while the log is about to close


@contextlib.contextmanager
def console_alone(
    port: SerialPort,
    home: Path,
    config: Config,
    ledger: Ledger,
    clock: Clock,
    *,
    fitted: Callable[[], Iterable[SelfTestLine]],
    lists: Callable[[], ListHealth] = ListHealth,
) -> Iterator[Console]:
    """A console in its own process, for a home that no reader holds; opens the camera only to aim.

    fitted: opens and tests what [parts] names, for the self-test. lists: gives the state of the hot lists.
    """
    folder = SyncFolder.of(home)
    health = HealthWatch(
        board=SysfsBoard(home), now=clock.now, custody=lambda: custody_of(ledger, folder), watching=False,
        shut=ShutParts(home).look,
    )  # fmt: skip
    health.watch_lists(lists)
    camera = _OwnCamera(config, clock)
    remove_left(folder)
    unit = FieldUnit(
        Parts(
            home=home, ledger=ledger, clock=clock, health=health, board=SysfsBoard(home),
            machine=SystemdMachine(), newest=camera.newest,
            find=PlateSpots(), sync_now=lambda: sync_here(home, ledger, config, health, clock),
            join=partial(join_at_console, home, ledger), retune=camera.retune, lamps=sounder_of(config.parts),
            fitted=fitted,
        )
    )  # fmt: skip
    with contextlib.closing(camera):
        failures, use = FailedLogins(home / "console.lockout", boottime_s), grant_use(home, ledger)
        yield _console(port, unit, ledger, failures, use, notice=ALONE, wanted=partial(is_way_asked, home))


def _console(
    port: SerialPort,
    unit: FieldUnit,
    ledger: Ledger,
    failures: FailedLogins,
    use: GrantUse,
    *,
    notice: str = "",
    wanted: Callable[[], bool] = lambda: False,
) -> Console:
    return Console(
        port, unit, ledger, keys=unit.command_keys, failures=failures, use=use, stays=False, notice=notice,
        wanted=wanted,
    )  # fmt: skip


class _OwnCamera:
    """Opens the configured source for the first frame, and again after a stall."""

    def __init__(self, config: Config, clock: Clock, source: str | None = None) -> None:
        self._settings, self._clock, self._source = config.camera, clock, source or config.camera.source
        self._camera: Camera | None = None

    def newest(self) -> Frame:
        """The next frame, in its own memory."""
        if self._camera is None:
            source = open_source(
                self._source,
                self._settings,
                clock=self._clock,
                once=False,
                at_source_pace=True,
                net_size=AIM_SIZE,
            )
            self._camera = source.open()
        try:
            with self._camera.borrow() as frame:
                return frame.owned()
        except CameraStalledError:
            self.close()
            raise

    def retune(self, settings: CameraSettings) -> str:
        """Use these settings from the next frame on; returns "", since the camera opens with the next aim."""
        self.close()
        self._settings = settings
        return ""

    def close(self) -> None:
        """Release the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def own_camera(config: Config, clock: Clock, *, source: str | None) -> Callable[[], Frame]:
    """A function that gives the next frame of `source`, by default of the configured one."""
    return _OwnCamera(config, clock, source).newest


def _ask_uplink(folder: SyncFolder, stopping: threading.Event) -> str:
    """Ask this process's uplink to sync, and wait for the outcome."""
    before = folder.status().get("ended_us", 0)
    folder.ask_sync()
    until_s = time.monotonic() + SYNC_WAIT_S
    while folder.status().get("ended_us", 0) == before:
        if time.monotonic() >= until_s:
            raise UnitRefusedError(f"no result in {SYNC_WAIT_S:.0f} s: try again later")
        if stopping.wait(0.2):
            raise UnitRefusedError("the reader is stopping: try again once it runs")
    return outcome_line(folder)


def sync_here(home: Path, ledger: Ledger, config: Config, health: HealthWatch, clock: Clock) -> str:
    """Sync once in this process; returns a line with the outcome."""
    folder = sync_folder(home)
    Runner(
        LedgerOutbox(ledger, folder.inbox),
        folder,
        config.sync.schedule(),
        health=lambda: health_message(health.report(), ledger.store.log_id),
    ).attempt()
    hear_department(ledger, clock)
    if isinstance(clock, DisciplinedClock):  # no other thread updates it here
        clock.refresh()
    return outcome_line(folder)


def outcome_line(folder: SyncFolder) -> str:
    """The outcome of the last attempt, in a line without a plate and without a count that a hit changes."""
    status = folder.status()
    outcome, what = str(status.get("outcome", "unknown")), str(status.get("what", ""))
    if outcome != "done":
        return f"{outcome}: {what}" if what else outcome
    said = "done: the department has and signed all that is here"
    return f"{said} ({what})" if what else said
