"""`reader enrol CODE`: join a department."""

from __future__ import annotations

import json

import click

from firmware.custody.opening import open_ledger, sync_folder
from firmware.frames.record import software_version
from firmware.run.app import prepare_home
from sync.command_frame import DONE, Common, verb
from sync.enrolment import join
from sync.ledger_outbox import LedgerOutbox


@verb("enrol", example="reader enrol ALPR1-...")
@click.argument("code")
def enrol(common: Common, *, code: str) -> int:
    """Join a department: its keys, this unit's certificate, policy, roster and day keys.

    CODE is the one-time code that `department enrol` printed. From then on content is sealed to the
    department, and look-ups are made there.
    """
    prepare_home(common.home)
    folder = sync_folder(common.home)
    with open_ledger(common.home) as ledger:
        member = join(LedgerOutbox(ledger, folder.inbox), folder, code, software=software_version()[:64])
    if common.json:
        facts = {"unit": member.unit_id, "name": member.name, "department": member.department}
        print(json.dumps(facts))
    else:
        print(f"this unit is {member.name} ({member.unit_id}) of {member.department}")
        print(f"it syncs with {member.unit_address}; next: reader sync now")
    return DONE
