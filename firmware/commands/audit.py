"""`reader audit`: the access log by period, user, purpose and plate; as CSV in the form "ALPR Request"."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from firmware.commands.person import credential_option, period_options
from firmware.custody.asking import asking, signed
from firmware.screen import printable
from storage.access import Request, normal_role
from storage.audit import AuditLine, UnitAuditFilter, as_csv
from storage.codec import from_plain, to_plain
from storage.counts import counted
from storage.door import audit_subject
from sync.command_frame import Common, verb
from sync.errors import DONE
from sync.plate_option import HELP, PLATE


@verb("audit", example="reader audit --since 30d --csv > alpr-requests.csv")
@period_options
@click.option("--user", metavar="U", help="Entries of this user only.")
@click.option("--purpose", metavar="P", help="Entries for this purpose only.")
@click.option("--plate", type=PLATE, help=f"Entries that searched for this plate. {HELP}")
@click.option("--csv", "csv_wanted", is_flag=True, help="Print CSV for the records management system.")
@click.option(
    "--as", "auditor", default="demo-reviewer", metavar="USER", show_default=True, help="Who audits."
)
@click.option("--role", default="reviewer", show_default=True, help="Your role.")
@credential_option
def audit(
    common: Common,
    *,
    since_us: int,
    until_us: int,
    user: str | None,
    purpose: str | None,
    plate: str | None,
    csv_wanted: bool,
    auditor: str,
    role: str,
    credential: Path | None,
) -> int:
    """List who asked for content: date and time, data elements, user, organization, purpose (463.5).

    For the administrator, a CCAT supervisor or a reviewer. Reading the access log makes an entry too. The
    command warns of a user name that neither the roster nor any entry has.
    """
    wanted = UnitAuditFilter(
        since_us=since_us,
        until_us=until_us,
        user=user,
        purpose=purpose or None,
        plate=plate,
    )
    wanted.check()
    request = Request(
        action="audit",
        user=auditor,
        role=normal_role(role),
        purpose="audit (463.5 c)",
        case_number="",
        subject=f"access log {audit_subject(wanted)}",
    )
    with asking(common.home) as ask:
        body = signed(ask, common.home, request, credential)
        answer = ask("audit", body | {"filter": to_plain(wanted)})
    lines = [from_plain(AuditLine, one) for one in answer["lines"]]
    if answer["unknown"]:
        what = (
            f"no one here is called {printable(user or '')}: neither the roster nor any entry has that name"
        )
        print(f"reader: {what}", file=sys.stderr)
    if csv_wanted:
        print(as_csv(lines), end="")
    elif common.json:
        for one in answer["lines"]:
            print(json.dumps(one))
    else:
        for line in lines:
            print("  ".join(cell for cell in line.row()[1:] if cell))
        print(f"{counted(len(lines), 'entry')}; this audit is record {answer['entry']}")
    return DONE
