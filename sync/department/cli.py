"""The `department` program: its table of commands, and which error leads to which exit status.

A command is a function in `sync/department/commands/NAME.py` (see `sync/command_frame.py`) and a line in
COMMANDS.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storage import files
from storage.errors import RefusedError, StorageError
from storage.private_process import keep_private
from sync.command_frame import Common, Program, run_program
from sync.errors import FOUND_WRONG, MISUSE, PART_LACKING, ROOM, SyncError
from sync.event_log import events_to_stderr
from sync.lasting_stream import open_standard_streams

COMMANDS: dict[str, tuple[str, str]] = {
    # verb: (module, what it does); the order is the order of --help
    "init": ("sync.department.commands.init", "make a department's home: keys, authority, store, policy"),
    "serve": ("sync.department.commands.serve", "run the server: receiver, enrollment, desk, daily purge"),
    "enroll": ("sync.department.commands.enroll", "issue a unit's one-time code; list or revoke units"),
    "health": ("sync.department.commands.health", "show the units' health; exit 1 if one needs a person"),
    "purge": ("sync.department.commands.purge", "purge what was received over a year ago (463.8)"),
    "hotlist": ("sync.department.commands.hotlist", "import a hot list and offer it to units (463.7)"),
    "alert": (
        "sync.department.commands.alert",
        "alerts of hot lists: view, type, compare, answer, close (463.7)",
    ),
    "send": ("sync.department.commands.send", "sign a configuration or an update bundle for units"),
    "grant": ("sync.department.commands.grant", "give technicians and vendors access to units' consoles"),
    "user": ("sync.department.commands.user", "people of the desk: roster, credentials, sessions"),
    "api": ("sync.department.commands.api", "the desk's HTTP API, as OpenAPI 3.1"),
    "change": ("sync.department.commands.change", "changes that wait for a second person"),
    "clock": ("sync.department.commands.clock", "confirm the server's clock when it is in doubt"),
    "backlog": ("sync.department.commands.backlog", "allow a purge of more than the day that is due"),
    "move": ("sync.department.commands.move", "move the store from SQLite to PostgreSQL"),
    "restore": ("sync.department.commands.restore", "enter that the store was restored from a backup"),
    "training": ("sync.department.commands.training", "yearly training of 463.9"),
    "inquiry": ("sync.department.commands.inquiry", "lookups, each an ALPR Request in the log"),
    "audit": ("sync.department.commands.audit", "the access log, its periodic audit and findings"),
    "share": ("sync.department.commands.share", "sharing with other agencies (463.6)"),
    "hold": ("sync.department.commands.hold", "holds and evidence (463.8)"),
    "retention": ("sync.department.commands.retention", "what is purged when, and the purge receipts"),
    "redress": ("sync.department.commands.redress", "requests from the public: see and answer them"),
    "incident": ("sync.department.commands.incident", "contradictions in a unit's log; two people close one"),
    "calendar": ("sync.department.commands.calendar", "what ends and when: training, passwords, grants"),
    "compliance": ("sync.department.commands.compliance", "list what is overdue; exit 1 if anything is"),
    "clauses": ("sync.department.commands.clauses", "every sentence of 463, and the test that guards it"),
    "controls": ("sync.department.commands.controls", "the CJIS control table with the current figures"),
    "keys": ("sync.department.commands.keys", "the root file (2 of 3 offline keys) and the key service"),
    "witness": ("sync.department.commands.witness", "a witness outside the department"),
    "verify": ("sync.department.commands.verify", "check every signature, tree, receipt and element"),
}

LOOKED_FOR = {
    **dict.fromkeys(("users", "people", "person", "account", "accounts", "add-user"), "user set, user list"),
    **dict.fromkeys(("login", "logon", "token"), "user login"),
    **dict.fromkeys(("passwd", "password", "passwords"), "user password, user credential"),
    **dict.fromkeys(("role", "roles"), "user set --roles, user list"),
    **dict.fromkeys(("unit", "units", "car", "cars"), "enroll, enroll --list, health"),
    **dict.fromkeys(("status", "state"), "health, compliance, retention list"),
    **dict.fromkeys(("start", "run", "server"), "serve"),
    **dict.fromkeys(("list", "lists", "hot-list", "plate", "plates", "wanted"), "hotlist add, hotlist push"),
    **dict.fromkeys(("hit", "hits"), "alert list"),
    **dict.fromkeys(("search", "query", "lookup", "look-up", "request", "requests", "find"), "inquiry"),
    **dict.fromkeys(("approve", "approval", "approvals", "pending"), "change list, change approve"),
    **dict.fromkeys(("report", "reports", "statistics"), "compliance, audit list, audit numbers"),
    **dict.fromkeys(("log", "logs", "history"), "audit list, audit events"),
    **dict.fromkeys(("evidence", "export"), "hold"),
    **dict.fromkeys(("update", "config", "configuration"), "send"),
    **dict.fromkeys(("policy", "root"), "keys, clauses"),
    **dict.fromkeys(("backup", "restored"), "restore"),
    **dict.fromkeys(("database", "postgres", "postgresql", "sqlite", "migrate", "grow"), "move"),
}
"""Words under which a person looks for a command, and the commands that do it."""

PROGRAM = Program(
    "department",
    COMMANDS,
    about="The department's end of the ALPR reader: receiver, store and policy desk.",
    example="department init --home /srv/alpr --host alpr.example.gov",
    distribution="alpr-reader",
    variable="DEPARTMENT_HOME",
    default_home=Path.home() / ".local" / "share" / "alpr-department",
    spelled={"enrol": "enroll"},
    looked_for=LOOKED_FOR,
)

KNOWN = (SyncError, StorageError, ModuleNotFoundError, OSError, sqlite3.DatabaseError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    keep_private()
    open_standard_streams()
    events_to_stderr()
    before = _restart_if_approved_only if argv is None else None
    return run_program(PROGRAM, argv, known=KNOWN, explain=_explain, before=before)


def _explain(error: Exception, _common: Common) -> tuple[str, int]:  # noqa: PLR0911 - one case per kind
    """(the line, the exit status). A wrong path is a usage error; a full disk is a lack of this machine."""
    if isinstance(error, SyncError):
        return str(error), error.exit_status
    if isinstance(error, RefusedError):
        from sync.department.desk.field_help import in_labels  # noqa: PLC0415 - no other line needs it

        return in_labels(f"refused: {error}"), FOUND_WRONG
    if isinstance(error, StorageError):
        return str(error), FOUND_WRONG
    if isinstance(error, ModuleNotFoundError):
        cure = "install the 'department' extra: pip install 'alpr-reader[department]'"
        return f"{error.name} is not installed ({cure})", PART_LACKING
    if isinstance(error, sqlite3.DatabaseError) and files.is_full(error):
        return f"the disk is full ({ROOM})", PART_LACKING
    if isinstance(error, sqlite3.DatabaseError):
        cure = "department verify names what is wrong; restore the file from its backup"
        return f"a database of this home cannot be read: {error} ({cure})", FOUND_WRONG
    assert isinstance(error, OSError)  # noqa: S101 - KNOWN names no other
    usage = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or type(error).__name__}"
    if isinstance(error, IsADirectoryError):
        what += " (a file belongs there: move the folder away, and restore the file from its backup)"
    if isinstance(error, PermissionError):
        what += " (run it as the owner of the files, or give them back to that user)"
    return what, MISUSE if isinstance(error, usage) else PART_LACKING


def _restart_if_approved_only(common: Common, options: Mapping[str, Any]) -> None:
    """In the FIPS profile this process uses approved TLS suites only: it may restart itself for that."""
    from sync.department.ground.home import DepartmentHome  # noqa: PLC0415 - only this needs it
    from sync.department.ground.settings import Settings  # noqa: PLC0415
    from sync.department.ground.tls import restart_for_approved  # noqa: PLC0415

    if options.get("fips") or DepartmentHome(common.home, Settings()).fips:
        restart_for_approved(sys.orig_argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())
