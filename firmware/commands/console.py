"""`reader console`: the technician console, on a serial port or on standard input (an SSH forced command)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Literal

import click

from firmware.alerts.list_ops import list_health
from firmware.console.consoles import console_alone
from firmware.console.service import pump
from firmware.console.session import Console
from firmware.console.verbs import screen_error
from firmware.custody.give_way import is_way_asked
from firmware.custody.opening import open_ledger
from firmware.errors import UsageError
from firmware.run.field_parts import clock_of
from firmware.run.part_checks import own_part_checks
from firmware.run.prepared_home import take_home
from firmware.screen import fitted
from firmware.settings.config import load_config
from hw.errors import HardwareError, LineGoneError, MissingDriverError
from hw.serial_port import CONSOLE_BAUD, FdPort, SerialPort, TtySerialPort
from storage.errors import ExplainedError, HomeLockedError
from sync.command_frame import Common, verb
from sync.errors import DONE

RETRY_S = 2.0
LOOK_S = 0.5
INVITATION = b"\r\nALPR reader: press return\r\n"


class _Ending:
    """Handles SIGTERM: ends a visit as the reader's own stop does, closing and recording what is open."""

    def __init__(self) -> None:
        self.asked = False
        self.console: Console | None = None
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self.console is None:
            raise SystemExit(DONE)
        self.console.stop()


@verb("console", example="reader console --port /dev/ttyGS0")
@click.option("--port", "device", metavar="TTY", help="Serial device, e.g. /dev/serial0 or /dev/ttyGS0.")
@click.option("--baud", type=int, default=CONSOLE_BAUD, show_default=True, help="Speed of the port.")
@click.option(
    "--modem-line",
    type=click.Choice(("none", "dsr", "cd")),
    default="none",
    show_default=True,
    help="Input of the port that drops when the cable is pulled, if it is wired. A USB gadget has none and "
    "needs none.",
)
def console(
    common: Common, *, device: str | None, baud: int, modem_line: Literal["none", "dsr", "cd"]
) -> int:
    """Serve the technician console.

    With --port, serve that serial port until stopped, one person at a time. Without it, use standard input
    and output, for the forced command of an SSH account. While a reader runs, the session runs in the
    reader's process.
    """
    ending = _Ending()
    if device is None:
        take_home(common.home)
        if sys.stdin.closed:
            raise UsageError("no standard input; name a serial device with --port")
        for hang_up in (signal.SIGHUP, signal.SIGINT):  # the end of the line is noticed and recorded
            signal.signal(hang_up, signal.SIG_IGN)
        with contextlib.closing(FdPort()) as port, _stderr_off_the_line():
            _visit(port, common.home, ending)
        return DONE
    served = False
    while True:
        try:
            with contextlib.closing(TtySerialPort(device, baud=baud, modem_line=modem_line)) as port:
                served = True  # an adapter may be unplugged and plugged in again
                _serve_port(port, common.home, ending)
        except LineGoneError:
            pass
        except MissingDriverError:
            if not served:
                raise
        time.sleep(RETRY_S)


def _serve_port(port: SerialPort, home: Path, ending: _Ending) -> None:
    """Serve one visit after another. Raises LineGoneError.

    Between visits this process does not hold the home, so a reader can start; it waits while a reader starts
    or stops. Errors are shown on the line, since the person at the cable sees nothing else.
    """
    while True:
        port.write(INVITATION)
        _await_return(port)
        try:
            take_home(home)
            _visit(port, home, ending)
        except HomeLockedError:
            port.write(b"the reader is starting or stopping: try again in a moment\r\n")
            time.sleep(RETRY_S)
        except LineGoneError:
            raise
        except (ExplainedError, HardwareError, OSError) as error:
            for row in fitted(f"this unit cannot be served: {screen_error(error)}"):
                port.write(f"{row}\r\n".encode())
            if ending.asked:  # during a visit whose log did not close
                raise SystemExit(DONE) from None
            time.sleep(RETRY_S)


def _await_return(port: SerialPort) -> None:
    while not set(port.read(256, LOOK_S)) & set(b"\r\n"):
        pass


def _visit(port: SerialPort, home: Path, ending: _Ending) -> None:
    """Serve one visit in the reader's process if one runs, else here. Raises HomeLockedError."""
    if is_way_asked(home):
        raise HomeLockedError("the reader is starting", where=str(home), cure="try again in a moment")
    clock = clock_of(None)
    try:
        ledger = open_ledger(home, clock=clock)
    except HomeLockedError:
        pump(port, home)
        return
    with ledger:
        config = load_config(home)
        fitted_parts = partial(own_part_checks, config)
        lists = partial(list_health, home, ledger)
        with console_alone(port, home, config, ledger, clock, fitted=fitted_parts, lists=lists) as console:
            ending.console = console
            try:
                console.serve()
            finally:
                ending.console = None
    if ending.asked:
        raise SystemExit(DONE)


@contextlib.contextmanager
def _stderr_off_the_line() -> Iterator[None]:
    """Redirect standard error: over SSH it is the same line, and output of libraries is neither screened nor
    recorded."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
