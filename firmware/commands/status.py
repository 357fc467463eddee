"""`reader status`: health of the unit, without a plate."""

from __future__ import annotations

import json
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

from firmware.alerts.list_ops import list_operations, lists_health, off_lines
from firmware.custody.asking import Ask, asking
from firmware.custody.home_parts import shut_parts
from firmware.custody.opening import custody_by
from firmware.errors import ConfigError
from firmware.health.alarm_cures import alarm_lines
from firmware.health.health_file import newest_report
from firmware.health.report import HealthWatch, first_named
from firmware.health.report_text import report_lines
from firmware.run.field_parts import clock_of
from firmware.settings.config import load_config
from hw.vitals import SysfsBoard
from storage.errors import StorageError
from storage.home import Home
from storage.socket_door import is_served
from storage.times import now_us
from sync import destruction
from sync.command_frame import Common, verb
from sync.errors import DONE, FOUND_WRONG
from sync.health import Alarm
from sync.membership import SyncFolder


@verb("status", example="reader status --json")
def status(common: Common) -> int:
    """Show the unit's health: clock, camera, reads per hour, log and anchors, sync, disk, board and alarms.

    Shows no plate. While a reader runs, the numbers come from the reader. The exit status is 1 if there is an
    alarm, if the last sync failed, or if a reader could not start with config.toml.
    """
    with asking(common.home, more=lambda ledger: list_operations(common.home, ledger)) as ask:
        custody, lists = ask("status", {}), _lists(ask)
    folder = SyncFolder.of(common.home)
    # a killed reader leaves its last report behind, but does not serve its door
    facts = newest_report(common.home) if is_served(Home(common.home)) else None
    running = facts is not None
    if facts is None:
        watch = HealthWatch(
            board=SysfsBoard(common.home),
            now=clock_of(None).now,
            custody=lambda: custody_by(custody, folder),
            watching=False,
            shut=partial(shut_parts, common.home),
        )
        watch.watch_lists(lambda: lists_health(lists))
        facts = watch.report()
    wrong = _wrong(common.home, folder)
    found = FOUND_WRONG if facts.alarms or wrong else DONE
    if common.json:
        said = {"running": running, "wrong": wrong, "custody": _plain(custody), "alerts": off_lines(lists)}
        print(json.dumps(facts.plain() | said))
        return found
    print(f"reader       {'running' if running else 'not running'}")
    for line in report_lines(facts):
        print(line)
    in_doubt = [custody["clock_alarm"]] if custody["clock_alarm"] else []
    shut = first_named(shut_parts(common.home)) if Alarm.HOME_SHUT in facts.alarms else []
    for line in [*alarm_lines(facts.alarms), *shut, *in_doubt, *wrong]:
        print(f"             {line}")
    for line in off_lines(lists):
        print(f"alerts       {line}")
    print(f"slot         {custody['slot']}")
    for line in textwrap.wrap(custody["slot_promise"], 67):
        print(f"             {line}")
    print(f"keys         {custody['keys_on_card']}; local query {'on' if custody['local_query'] else 'off'}")
    return found


def _lists(ask: Ask) -> dict[str, Any]:
    """The door's answer about hot lists; empty if a console without a reader holds the home."""
    try:
        return ask("hotlists", {})
    except StorageError:
        return {"lists": [], "missing": []}


def _wrong(home: Path, folder: SyncFolder) -> list[str]:
    """What no alarm covers: an unusable configuration, a failed sync, an undelivered receipt of a reset."""
    found = []
    try:
        load_config(home)
    except ConfigError as error:
        found.append(f"configuration: {error}; no reader starts with it")
    except OSError as error:  # root's file, or a bad sector: still report the rest
        why = error.strerror or type(error).__name__
        found.append(f"configuration: {error.filename}: cannot be read: {why}; no reader starts without it")
    if folder.is_member() and (ended := folder.ended_certificate(past_us=0, clock_us=now_us())):
        found.append(f"sync: {ended}")
    last = folder.status()
    if last.get("outcome", "done") not in {"done", "paused"}:
        found.append(f"sync: {last['outcome']}: {last.get('what', '')} (reader sync status)")
    found += [
        f"reset: its receipt {path} is not delivered: the next sync sends it; without one give it to the "
        "department (department incident receipt FILE), then remove it"
        for path in destruction.kept(home)
    ]
    return found


def _plain(custody: dict[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in custody.items()}
