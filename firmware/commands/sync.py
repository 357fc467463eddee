"""`reader sync now` and `reader sync status`: the uplink, by hand."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firmware.custody.log_rollover import Successor
from firmware.custody.opening import custody_of, open_or_succeed, sync_folder
from firmware.errors import DONE, FOUND_WRONG
from firmware.health.health_message import health_message
from firmware.health.report import HealthWatch
from firmware.settings.config import FILE_NAME, load_config
from hw.clock import SystemClock
from hw.vitals import SysfsBoard
from storage.errors import HomeLockedError
from storage.ledger import Ledger
from sync.health import Health
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Runner
from sync.schedule import Schedule

WAIT_S = 120.0


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "sync",
        help="speak to the department now, or see how it went",
        description="Speak to the department now, or see how the last attempts went. Beside a running reader "
        "`now` asks it to speak, and waits for the outcome.",
        epilog="example: reader sync now",
    )
    parser.add_argument("what", choices=("now", "status"), help="now: speak; status: the last attempts")


def run(args: argparse.Namespace) -> int:
    """Speak, or tell."""
    folder = sync_folder(args.home)
    folder.member()
    if args.what == "now":
        try:
            _speak(args.home, folder)
        except HomeLockedError:
            _ask_the_running_one(folder)
    status = folder.status()
    _show(status, as_json=args.json)
    return DONE if status.get("outcome", "done") == "done" else FOUND_WRONG


def _speak(home: Path, folder: SyncFolder) -> None:
    """One conversation; where the department refused the log, a new one is opened and spoken for at once."""
    schedule = load_config(home).sync.schedule() if (home / FILE_NAME).exists() else Schedule()
    with open_or_succeed(
        home, told=lambda why: print(f"a new log is opened: {why}", file=sys.stderr)
    ) as ledger:
        outbox = LedgerOutbox(ledger, folder.inbox)
        made = Runner(outbox, folder, schedule, health=lambda: _health(home, ledger, folder)).attempt()
        if made.outcome != "log-refused":
            return
        successor = Successor(ledger, folder, made.what)
    print(f"the department refused this log ({made.what}): a new one is opened", file=sys.stderr)
    with successor.open(home, SystemClock()) as ledger:
        Runner(LedgerOutbox(ledger, folder.inbox), folder, schedule).attempt()


def _health(home: Path, ledger: Ledger, folder: SyncFolder) -> Health:
    """The report of a unit that does not read now."""
    watch = HealthWatch(
        board=SysfsBoard(home),
        now=SystemClock().now,
        custody=lambda: custody_of(ledger, folder),
        watching=False,
    )
    return health_message(watch.report(), ledger.store.log_id)


def _ask_the_running_one(folder: SyncFolder) -> None:
    """Ask the reader that holds the home, and wait until it has tried."""
    before = folder.status().get("ended_us", 0)
    Path(folder.wanted).touch(mode=0o600)
    until = time.monotonic() + WAIT_S
    while folder.status().get("ended_us", 0) == before and time.monotonic() < until:
        time.sleep(0.2)
    if folder.status().get("ended_us", 0) == before:
        print(f"reader: sync: the running reader did not answer in {WAIT_S:.0f} s", file=sys.stderr)


def _show(status: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(status))
        return
    if not status:
        print("never tried; next: reader sync now")
        return
    outcome = f"{status.get('outcome')}  {status.get('what', '')}".rstrip()
    print(f"last attempt  {_moment(status.get('tried_us'))}  {outcome}")
    print(f"last success  {_moment(status.get('succeeded_us'))}")
    print(
        f"sent then     {status.get('leaves', 0)} records, {status.get('elements', 0)} sealed parts, "
        f"{status.get('sent_bytes', 0)} bytes"
    )
    print(
        f"department    co-signed {status.get('cosigned_size', 0)} records, "
        f"receipt for the first {status.get('received_to', 0)}"
    )
    if status.get("failures"):
        print(f"failures      {status['failures']} in a row")


def _moment(us: object) -> str:
    if not isinstance(us, int) or not us:
        return "-".ljust(20)
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
