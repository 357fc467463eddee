"""`department restore`: two people enter that the store was restored from a backup, and what it lacks."""

from __future__ import annotations

from sync.command_frame import noun
from sync.department.commands import desk_access

ENTER = "department restore enter --backup 2026-11-29 --why 'the disk failed' --propose --user chief"

restore = noun("restore", "A store that was restored from a backup.", example=ENTER)

desk_access.form_verb(
    restore,
    "enter",
    "restore/enter",
    "Enter what a restored store lacks for good, as one of two people, once units sent again what they hold.",
    desk_access.text("--backup", "backup", "The day of the backup, UTC (YYYY-MM-DD)."),
    desk_access.text("--why", "reason", "Why it was restored."),
    desk_access.text(
        "--lost", "lost", "Digest of what is lost. Without it the command shows both.", required=False
    ),
    desk_access.second_person,
    example=ENTER,
)
