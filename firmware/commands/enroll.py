"""`reader enroll CODE`: join a department."""

from __future__ import annotations

import getpass
import json
import sys

import click

from firmware.console.enrolling import join_as_owner
from firmware.custody.opening import open_ledger, sync_folder
from firmware.errors import UsageError
from firmware.run.field_parts import clock_of
from firmware.run.prepared_home import take_home
from storage import socket_door
from storage.errors import HomeLockedError
from storage.home import Home
from sync.command_frame import Common, verb
from sync.errors import DONE


@verb("enroll", example="reader enroll ALPR1-...")
@click.argument("code", required=False)
def enroll(common: Common, *, code: str | None) -> int:
    """Join a department: its keys, this unit's certificate, policy, roster and day keys.

    CODE is the one-time code that `department enroll` printed. Without CODE, the command reads it from
    standard input, so no process list shows it. From then on the unit seals content to the department, and
    lookups are made there. A running reader does not interfere.
    """
    take_home(common.home)
    code = (code or _code_typed()).strip()
    if not code:
        raise UsageError("no code given: type the one that `department enroll` printed")
    try:
        with open_ledger(common.home, clock=clock_of(None)) as ledger:
            join_as_owner(common.home, ledger, code)
    except HomeLockedError:
        socket_door.ask(Home(common.home), "enroll", {"code": code})
    member = sync_folder(common.home).member()
    if common.json:
        facts = {"unit": member.unit_id, "name": member.name, "department": member.department}
        print(json.dumps(facts))
    else:
        print(f"this unit is {member.name} ({member.unit_id}) of {member.department}")
        print(f"it syncs with {member.unit_address}; next: reader sync now")
    return DONE


def _code_typed() -> str:
    """Read the code from standard input; a terminal prompts without echo."""
    return getpass.getpass("code: ") if sys.stdin.isatty() else sys.stdin.readline()
