"""The reader from start to end: one run after another, and what happens between two of them."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TextIO

import structlog

from firmware.custody.give_way import way_asked
from firmware.custody.opening import retry_while_locked
from firmware.errors import OutOfMemoryError
from firmware.fleet import sent_configuration
from firmware.run.field_parts import field_parts
from firmware.run.one_run import OneRun
from firmware.run.orders import Reason, SupplyOrders
from firmware.run.prepared_home import prepare_home
from firmware.run.run_result import RunOptions, RunResult
from firmware.settings.config import load_config
from hw.errors import HardwareError, MissingDriverError
from hw.machine import SystemdMachine
from hw.power import PowerOrder
from hw.watchdog import Heartbeat, PatientHeartbeat, SystemdHeartbeat
from storage.home import Home, HomeLock
from sync.event_log import event_log
from sync.lasting_stream import lasting

WAY_S = 8.0  # a console without a login releases the home within a second or two


def run(home: Path, options: RunOptions, *, out: TextIO, err: TextIO) -> RunResult:
    """Read until the source ends or SIGTERM or SIGINT comes; then store everything that was seen.

    With the ignition off it stops reading, and continues if the ignition returns before the power is cut. If
    the department refuses the log, it continues in a new one; if the department sends a configuration, it
    continues with that. Raises FirmwareError, HardwareError, StorageError, DetectorError.
    """
    out, err = lasting(out), lasting(err)
    prepare_home(home)
    _keep_to_owner(home, event_log(err))
    heartbeat, orders = _heartbeat(), SupplyOrders()

    def on_order(order: PowerOrder) -> None:
        orders.order(order)
        if order is PowerOrder.POWER_OFF:  # at once: the capacitor has been draining since the order to stop
            try:
                SystemdMachine().power_off()
            except HardwareError as error:
                event_log(err).error("power_off_failed", reason=str(error))

    before: RunResult | None = None
    with _stopping_signals(orders):
        while True:
            _take_up_configuration(home, event_log(err), orders)
            with field_parts(load_config(home), on_order=on_order) as parts:
                while True:
                    one_run = OneRun(home, load_config(home), parts, options, orders.begin(), heartbeat)
                    before = result = _carried_out(one_run, out, err).after(before)
                    keeps_reading = one_run.reads_on(orders)
                    if not keeps_reading or one_run.reason is Reason.CONFIGURATION:
                        break
            if not keeps_reading:
                break
        if heartbeat is not None:
            heartbeat.stopping()
        return result


def _carried_out(one_run: OneRun, out: TextIO, err: TextIO) -> RunResult:
    """Carry out one run. Raises OutOfMemoryError, and what a run raises."""
    try:
        return one_run.carry_out(out=out, err=err)
    except MemoryError:
        raise OutOfMemoryError(
            "out of memory: what was stored is safe. Start the reader again (systemd does); "
            "if it happens again, make camera.width smaller"
        ) from None


def _keep_to_owner(home: Path, log: structlog.typing.FilteringBoundLogger) -> None:
    """Remove other users' rights from the unit's files, as a manual copy may leave them, and log that."""
    for folder in (home / "store", home / "sync"):
        closed = 0
        with contextlib.suppress(OSError):  # another user's: reported when it is opened
            for path in folder.iterdir():
                closed += _is_closed_now(path)
        if closed:  # without names: a person may have put a picture there
            log.warning("files_were_open_to_others", folder=folder.name, files=closed)


def _is_closed_now(path: Path) -> bool:
    """Remove other users' rights from a file; returns whether they had any."""
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            path.chmod(mode & 0o700)
            return True
    return False


def _take_up_configuration(
    home: Path, log: structlog.typing.FilteringBoundLogger, orders: SupplyOrders
) -> None:
    """Apply a sent configuration, as this home's only reader: a second reader is refused here, before it uses
    any file or part of the unit.

    Raises HomeLockedError, ConfigError.
    """
    with _only_one(Home(home), log, orders):
        taken = sent_configuration.take_up(home)
    if taken is None:
        return
    if taken.refused:
        log.error("configuration_refused", version=taken.version, reason=taken.refused)
    else:
        log.info("configuration_in_force", version=taken.version)


@contextlib.contextmanager
def _only_one(home: Home, log: structlog.typing.FilteringBoundLogger, orders: SupplyOrders) -> Iterator[None]:
    if not home.exists():  # its log was set aside; opening the next one takes the lock
        yield
        return
    if home.is_written():  # so that a person at a terminal knows what it waits for
        log.info("waiting_for_home", at_most_s=WAY_S, reason="another process writes this home")
    with way_asked(home.root):
        lock = retry_while_locked(lambda: HomeLock(home), patience_s=WAY_S, ended=lambda: orders.ended)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _stopping_signals(orders: SupplyOrders) -> Iterator[None]:
    """Let SIGTERM, SIGINT and SIGHUP (a closed terminal) ask for the end; restores the handlers later."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        orders.end()

    ending = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # unless started with nohup
        ending.append(signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heartbeat() -> Heartbeat | None:
    """systemd's heartbeat if it started us."""
    if "NOTIFY_SOCKET" not in os.environ:
        return None
    with contextlib.suppress(MissingDriverError):
        return PatientHeartbeat(SystemdHeartbeat())
    return None
