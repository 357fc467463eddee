"""`reader console`: the technician console, on a serial port or on standard input (an SSH forced command)."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time

from firmware.app import prepare_home
from firmware.cli import Subparsers
from firmware.config import load_config
from firmware.console.service import pump
from firmware.consoles import console_alone
from firmware.custody import open_ledger
from firmware.errors import DONE, UsageError
from hw.clock import SystemClock
from hw.errors import LineGoneError, MissingDriverError
from hw.serial_port import CONSOLE_BAUD, FdPort, SerialPort, TtySerialPort
from storage.errors import HomeLockedError

RETRY_S = 2.0


def add_parser(subparsers: Subparsers) -> None:
    """Add `console` to the command line."""
    parser = subparsers.add_parser(
        "console",
        help="the technician console, on a serial port or here",
        description="The technician console. With --port it serves that serial port for ever, one "
        "person after the other; without, it talks on standard input and output: make it the forced "
        "command of an SSH "
        "account. Beside a running reader the session lives in the reader's process.",
        epilog="example: reader console --port /dev/ttyGS0",
    )
    parser.add_argument("--port", metavar="TTY", help="serial device, e.g. /dev/ttyAMA0 or /dev/ttyGS0")
    parser.add_argument("--baud", type=int, default=CONSOLE_BAUD, help="default: %(default)s")
    parser.add_argument(
        "--modem-line",
        choices=("none", "dsr", "cd"),
        default="none",
        help="which input of the port drops when the cable is pulled (USB gadget: cd); default: none",
    )


def run(args: argparse.Namespace) -> int:
    """Talk until the line is gone; a serial port is served again and again."""
    prepare_home(args.home)
    if args.port is None:
        if sys.stdin.closed:
            raise UsageError("console: no standard input; name a serial device with --port")
        for hang_up in (signal.SIGHUP, signal.SIGINT):  # the end is seen on the line, and recorded
            signal.signal(hang_up, signal.SIG_IGN)
        with contextlib.closing(FdPort()) as port:
            _talk(port, args)
        return DONE
    served = False
    while True:
        try:
            with contextlib.closing(
                TtySerialPort(args.port, baud=args.baud, modem_line=args.modem_line)
            ) as port:
                _talk(port, args)
        except LineGoneError:
            pass
        except MissingDriverError:
            if not served:
                raise
        served = True  # it was there once: an adapter that is plugged in again is served again
        time.sleep(RETRY_S)


def _talk(port: SerialPort, args: argparse.Namespace) -> None:
    try:
        ledger = open_ledger(args.home)
    except HomeLockedError:
        pump(port, args.home)
        return
    with ledger:
        console_alone(port, args.home, load_config(args.home), ledger, SystemClock()).serve()
