"""`department retention`: which day of receipt is purged when, and the receipts of purges (463.8)."""

from __future__ import annotations

import sys

import click

from storage.counts import counted
from sync.command_frame import noun
from sync.department.commands import desk_access
from sync.department.desk.inquiry.forms import NothingForm
from sync.errors import DONE, FOUND_WRONG

LIST = "department retention list --user super"
COLUMNS = {
    "day": "received",
    "reads": "reads",
    "due_us": "due",
    "purged_us": "purged",
    "overdue": "overdue",
    "receipt": "purge receipt (SHA-256)",
}

retention = noun("retention", "What is purged when, and the receipts of what was purged.", example=LIST)


@desk_access.desk_verb(retention, "list", example=LIST)
@click.option("--overdue", "only_overdue", is_flag=True, help="Only overdue days; exit 1 if any.")
def list_days(terminal: desk_access.Terminal, *, only_overdue: bool) -> int:
    """List the days of receipt, the oldest first."""
    found = terminal.call("retention/read", NothingForm())
    rows = tuple(one for one in found.days if one.overdue or not only_overdue)
    terminal.table(rows, COLUMNS)
    if not terminal.common.json:
        print(
            f"kept {counted(found.keep_days, 'day')}; {counted(found.held_reads, 'read')} under "
            f"{counted(found.open_holds, 'open hold')}",
            file=sys.stderr,
        )
    return FOUND_WRONG if only_overdue and rows else DONE
