"""The ledger of one run: opened once its home and the chip with its keys exist, closed with an anchor."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import structlog

from firmware.custody.bookkeeper import UNSTORED
from firmware.custody.give_way import way_asked
from firmware.custody.opening import open_or_roll_over, retry_while_locked
from firmware.custody.system_updates import record_system_updates
from firmware.run.orders import StopRequest
from firmware.settings.config_record import record_configuration
from firmware.threads import working
from hw.clock import Clock
from hw.errors import HardwareError
from hw.watchdog import Heartbeat
from storage.errors import StoreFullError
from storage.ledger import Ledger

CHIP_PATIENCE_S, CHIP_AGAIN_S = 60.0, 2.0
NEEDED_S, ASK_EVERY_S, MOST_ASKED = 60, 20.0, 90  # half an hour at most: then something hangs


@contextlib.contextmanager
def run_ledger(
    home: Path,
    clock: Clock,
    log: structlog.typing.FilteringBoundLogger,
    stop: StopRequest,
    heartbeat: Heartbeat | None = None,
) -> Iterator[Ledger]:
    """A context manager for the home's ledger, with the current configuration on record.

    heartbeat: the supervisor, which is asked for more time while the ledger opens. If the final anchor
    fails, that is reported, and the next start makes it. Raises StorageError, HardwareError.
    """
    asking = (
        contextlib.nullcontext() if heartbeat is None else working("start", partial(_ask_time, heartbeat))
    )
    with asking:
        ledger = _open(home, clock, log, stop)
    try:
        _record_configuration(ledger, home, clock, log)
        yield ledger
    finally:
        try:
            ledger.close()
        except UNSTORED as error:
            log.error("not_anchored", reason=str(error))  # noqa: TRY400


def _ask_time(heartbeat: Heartbeat, opened: threading.Event) -> None:
    """Ask for more time until the log is open: on a worn card, a look at a large one takes minutes.

    The beats are for a further run of this process, whose log opens under the watchdog.
    """
    for _ in range(MOST_ASKED):
        heartbeat.need(NEEDED_S)
        heartbeat.beat()
        if opened.wait(ASK_EVERY_S):
            return


def _open(home: Path, clock: Clock, log: structlog.typing.FilteringBoundLogger, stop: StopRequest) -> Ledger:
    """The home's ledger, or the one that replaces it.

    The chip with its keys may start after us. Without it nothing can be sealed, so nothing is read: if it is
    still missing after a minute, the start fails and the supervisor retries.
    """
    until_s, reported = time.monotonic() + CHIP_PATIENCE_S, False
    while True:
        try:
            return _opened_once(home, clock, log, stop)
        except HardwareError as error:
            if stop.asked or time.monotonic() >= until_s:
                raise
            if not reported:
                log.error("key_slot_not_there", reason=str(error))  # noqa: TRY400 - it is tried again
                reported = True
        stop.wait(CHIP_AGAIN_S)


def _opened_once(
    home: Path, clock: Clock, log: structlog.typing.FilteringBoundLogger, stop: StopRequest
) -> Ledger:
    with way_asked(home):
        return retry_while_locked(
            lambda: open_or_roll_over(
                home, clock=clock, on_new_log=lambda reason: log.error("new_log_opened", reason=reason)
            ),
            ended=lambda: stop.by_person,
        )


def _record_configuration(
    ledger: Ledger, home: Path, clock: Clock, log: structlog.typing.FilteringBoundLogger
) -> None:
    try:
        record_configuration(ledger, home, clock)
        _record_updates(ledger, home, log)
    except StoreFullError as error:  # only a running unit sends and purges, and so gets room again
        log.error("configuration_not_recorded", reason=str(error))  # noqa: TRY400


def _record_updates(ledger: Ledger, home: Path, log: structlog.typing.FilteringBoundLogger) -> None:
    try:
        record_system_updates(ledger, home)
    except OSError as error:  # no reason to stop reading
        log.error("updates_not_recorded", reason=str(error))  # noqa: TRY400
