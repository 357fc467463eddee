"""`reader sync now` and `reader sync status`: the uplink by hand."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from firmware.alerts.list_ops import list_health, list_operations
from firmware.commands.hotlist import list_line, missing_line
from firmware.custody.asking import asking, unless_served
from firmware.custody.log_rollover import Successor
from firmware.custody.opening import custody_of, open_or_roll_over, sync_folder
from firmware.health.health_message import health_message
from firmware.health.report import HealthWatch
from firmware.settings.config import FILE_NAME, load_config
from hw.clock import SystemClock
from hw.vitals import SysfsBoard
from storage.counts import counted
from storage.errors import StorageError
from storage.home import Home
from storage.ledger import Ledger
from storage.times import utc_text
from sync.command_frame import Common, noun
from sync.errors import DONE, FOUND_WRONG
from sync.handover import closed_logs
from sync.health import HealthMessage
from sync.ledger_outbox import LedgerOutbox
from sync.membership import BOOT, RAN, SyncFolder
from sync.rollover import looked_at
from sync.runner import Attempt, Runner
from sync.schedule import Schedule

WAIT_S = 120.0


sync = noun(
    "sync", "Sync with the department now, or show the results of the last syncs.", example="reader sync now"
)


@sync.verb("now", example="reader sync now")
@click.option(
    "--new-log", is_flag=True, help="Open new logs again, once the reason for the closed logs is known."
)
def now(common: Common, *, new_log: bool) -> int:
    """Sync now. While a reader runs, ask it to sync, and wait for the outcome. The exit status is also 1
    while a closed log holds reads that the department does not have.
    """
    folder = _member(common.home)
    if new_log:
        looked_at(folder)
    folder.demand_status()
    # a console without a reader, or another command, may hold the home, and it does not sync on request
    answered = unless_served(common.home, lambda: _sync_here(common.home, folder)) or _ask_the_running_one(
        folder
    )
    status = _report(folder, as_json=common.json)
    if not common.json:
        _show_lists(common.home)
    return status if answered else FOUND_WRONG


def _member(home: Path) -> SyncFolder:
    """The folder of an enrolled unit. Raises NoHomeError, NotEnrolledError."""
    folder = sync_folder(home)
    if not folder.is_member():
        Home(home).need()
    folder.member()
    return folder


def _show_lists(home: Path) -> None:
    """Print the state of the hot lists; a running reader loads new lists before it answers."""
    try:
        with asking(home, more=lambda ledger: list_operations(home, ledger)) as ask:
            answer = ask("hotlists", {})
    except StorageError as error:
        print(f"hot lists     unknown: {error}")
        return
    for line in [*map(missing_line, answer["missing"]), *map(list_line, answer["lists"])]:
        print(f"hot list      {line}")


@sync.verb("status", example="reader sync status --json")
def status(common: Common) -> int:
    """Show the results of the last syncs. The exit status is 1 if the last one failed."""
    folder = _member(common.home)
    return _report(folder, as_json=common.json)


def _report(folder: SyncFolder, *, as_json: bool) -> int:
    facts, left = shown_status(folder.status()), closed_logs(folder)
    reads = sum(max(0, one.reads) for one in left)
    _show(facts | ({"closed_logs": len(left), "closed_reads": reads} if left else {}), as_json=as_json)
    for one in left:
        count = counted(one.reads, "read") if one.reads > 0 else "an unknown number of reads"
        print(
            f"closed log {one.name}: {count} not delivered; sync again, or copy {one.folder} to the "
            "department: department incident import",
            file=sys.stderr,
        )
    return DONE if facts.get("outcome", "done") == "done" and not left else FOUND_WRONG


def _sync_here(home: Path, folder: SyncFolder) -> bool:
    """Sync once; if the log is replaced by a new one, open that and sync it at once. Returns True."""
    schedule = load_config(home).sync.schedule() if (home / FILE_NAME).exists() else Schedule()
    with open_or_roll_over(
        home, on_new_log=lambda why: print(f"opening a new log: {why}", file=sys.stderr)
    ) as ledger:
        made = _attempt(home, ledger, folder, schedule)
        if not made.gives_way:
            return True
        successor = Successor(ledger, folder, made.gives_way)
    print(f"this log gives way ({made.gives_way}): opening a new one", file=sys.stderr)
    with successor.open(home, SystemClock()) as ledger:
        _attempt(home, ledger, folder, schedule)
    return True


def _attempt(home: Path, ledger: Ledger, folder: SyncFolder, schedule: Schedule) -> Attempt:
    outbox = LedgerOutbox(ledger, folder.inbox)
    return Runner(
        outbox, folder, schedule, health=lambda: health_without_reader(home, ledger, folder)
    ).attempt()


def health_without_reader(home: Path, ledger: Ledger, folder: SyncFolder) -> HealthMessage:
    """The health report of a unit whose reader is not running."""
    watch = HealthWatch(
        board=SysfsBoard(home),
        now=SystemClock().now,
        custody=lambda: custody_of(ledger, folder),
        watching=False,
    )
    watch.watch_lists(lambda: list_health(home, ledger))
    return health_message(watch.report(), ledger.store.log_id)


def _ask_the_running_one(folder: SyncFolder) -> bool:
    """Ask the reader that holds the home to sync; True once it has tried, False if the wait ends first."""
    print(f"asking the reader that runs; it answers within {WAIT_S:.0f} s", file=sys.stderr)
    before = folder.status().get("ended_us", 0)
    folder.ask_sync()
    until = time.monotonic() + WAIT_S
    while folder.status().get("ended_us", 0) == before and time.monotonic() < until:
        time.sleep(0.2)
    if folder.status().get("ended_us", 0) != before:
        return True
    if folder.wanted.exists():
        why = f"has not synced in {WAIT_S:.0f} s"
        cure = "reader status shows whether it runs; systemctl restart alpr-reader"
    else:
        why = f"took the request, and its sync has not ended in {WAIT_S:.0f} s"
        cure = "reader sync status shows its outcome later"
    print(f"reader: sync: the reader that runs {why}; what follows is older ({cure})", file=sys.stderr)
    return False


def shown_status(status: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `status.json` to show: not the bytes on a metered network, which would reveal hits.

    Nor what only this machine can read.
    """
    hidden = {BOOT, RAN, *(name for name in status if name.startswith("metered"))}
    return {name: fact for name, fact in status.items() if name not in hidden}


def _show(status: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(status))
        return
    if not status:
        print("no sync yet; next: reader sync now")
        return
    outcome = f"{status.get('outcome')}  {status.get('what', '')}".rstrip()
    print(f"last attempt  {_moment(status.get('tried_us'))}  {outcome}")
    print(f"last success  {_moment(status.get('succeeded_us'))}")
    print(
        f"sent     {counted(status.get('leaves', 0), 'record')}, "
        f"{counted(status.get('elements', 0), 'sealed part')}, {status.get('sent_bytes', 0)} bytes"
    )
    print(
        f"department    co-signed {counted(status.get('cosigned_size', 0), 'record')}, "
        f"receipt for the first {status.get('received_to', 0)}"
    )
    if status.get("failures"):
        print(f"failures      {status['failures']} in a row")


def _moment(us: object) -> str:
    if not isinstance(us, int) or not us:
        return "-".ljust(20)
    return utc_text(us, to="second").removesuffix(" UTC")
