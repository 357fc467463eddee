"""The `reader` program: its table of commands, and which error leads to which exit status.

A command is a function in `firmware/commands/NAME.py` (see `sync/command_frame.py`) and a line in COMMANDS.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.errors import DetectorError
from firmware.errors import CURES, system_text
from hw.errors import HardwareError
from storage import files
from storage.damage import settled
from storage.database import failure_cure
from storage.errors import ExplainedError, NoHomeError
from storage.home import Home, owner_of
from storage.private_process import keep_private
from sync.command_frame import Common, Program, run_program
from sync.errors import FOUND_WRONG, MISUSE
from sync.event_log import events_to_stderr
from sync.lasting_stream import open_standard_streams

# name -> (module, what it does in one line); the order is that of `reader --help`
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("firmware.commands.init", "make a home: keys and a commented configuration"),
    "run": ("firmware.commands.run", "the main job: frames in, signed reads out"),
    "read": ("firmware.commands.read", "read plates in image files; stores nothing"),
    "verify": ("firmware.commands.verify", "check every signature, the log and the receipts"),
    "query": ("firmware.commands.query", "look up reads, after the access entry is in the log"),
    "audit": ("firmware.commands.audit", "the access log, form ALPR Request"),
    "retention": ("firmware.commands.retention", "what is due for purging and why; purge it now"),
    "hold": (
        "firmware.commands.hold",
        "keep a record past its retention, on a ground and an authority (463.8)",
    ),
    "release": ("firmware.commands.release", "end a hold, with evidence item and second person"),
    "export": ("firmware.commands.export", "write an evidence package for court"),
    "enroll": ("firmware.commands.enroll", "join a department with its one-time code"),
    "hotlist": ("firmware.commands.hotlist", "hot lists on this unit: import, list"),
    "alerts": ("firmware.commands.alerts", "the open alerts of this unit, without a plate"),
    "logon": ("firmware.commands.logon", "on the patrol laptop: log in to a unit's alert page"),
    "sync": ("firmware.commands.sync", "sync with the department now, or show the results of the last syncs"),
    "status": ("firmware.commands.status", "show the unit's health, without a plate"),
    "selftest": ("firmware.commands.selftest", "test every part, without a plate"),
    "console": ("firmware.commands.console", "the technician console, on a serial port or here"),
    "grant": ("firmware.commands.grant", "answer a console's challenge with your SSH key"),
}

DEFAULT_HOME = Path("/var/lib/alpr-reader")

PROGRAM = Program(
    "reader",
    COMMANDS,
    about="The license plate reader of one unit.",
    example="reader --home ./demo run --source ./frames --once",
    distribution="alpr-reader",
    variable="READER_HOME",
    default_home=DEFAULT_HOME,
    spelled={"enrol": "enroll"},
)

KNOWN = (ExplainedError, HardwareError, DetectorError, OSError, sqlite3.Error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    keep_private()
    open_standard_streams()
    events_to_stderr()
    return run_program(PROGRAM, argv, known=KNOWN, explain=explain)


def explain(error: Exception, common: Common) -> tuple[str, int]:
    """(message, exit status) for an error that ends a command."""
    error = settled(error)
    if isinstance(error, PermissionError):
        what, status = f"{error.filename}: permission denied{_whose(error, common.home)}", MISUSE
    elif isinstance(error, OSError):  # a full or read-only disk, a failing card
        cure = CURES.get(error.errno or 0) or _in_the_way(error, common.home)
        what, status = system_text(error) + cure, FOUND_WRONG
    elif isinstance(error, sqlite3.Error):
        cure = failure_cure(error, Home(common.home).database)
        what, status = f"{common.home}: the database cannot be used: {error} ({cure})", FOUND_WRONG
    elif isinstance(error, NoHomeError) and _is_file(common.home / "sync" / "member.cbor"):
        what, status = f"{common.home}: this unit's log is gone (reader run continues in a new one)", MISUSE
    else:  # our own errors have their exit status
        what, status = str(error), int(getattr(error, "exit_status", FOUND_WRONG))
    return f"{common.command}: {what}", status


def _is_file(path: Path) -> bool:
    """Whether the file exists, as far as this user can see."""
    try:
        return path.is_file()
    except OSError:
        return False


def _path_of(error: OSError, home: Path) -> Path | None:
    """The file in the home that an error names; None if it names no file, another file or a descriptor."""
    name = error.filename
    path = Path(os.fsdecode(name)) if isinstance(name, str | bytes | os.PathLike) else None
    return path if path is not None and path.is_relative_to(home) else None


def _whose(error: PermissionError, home: Path) -> str:
    """What to do if this user may not use or create the home; empty if the error is not about it."""
    path = _path_of(error, home)
    if path is None:
        return ""
    try:
        owner, own = owner_of(home), home.stat().st_uid == os.geteuid()
    except OSError:
        return f" (make the folder first: sudo install -d -m 700 -o $USER {home})"
    shut = _shut_to_its_owner(path, home) if own else None
    if shut is not None:
        return f" (its owner took the right away: chmod u+rwX {shut})"
    if own:  # another user, usually root, left files in it
        return f" (give the folder back to {owner}: sudo chown -R {owner.lstrip('#')} {home})"
    return f" ({home} belongs to {owner}: sudo -u {shlex.quote(owner)} reader ...)"


def _steps(path: Path, home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the home and each existing part of the path to a file in it."""
    parts = path.relative_to(home).parts if path.is_relative_to(home) else ()
    for count in range(len(parts) + 1):
        step = home.joinpath(*parts[:count])
        try:
            yield step, step.lstat()
        except OSError:
            return


def _shut_to_its_owner(path: Path, home: Path) -> Path | None:
    """The first part of the path that this user owns and whose mode denies access."""
    for step, facts in _steps(path, home):
        needed = 0o700 if stat.S_ISDIR(facts.st_mode) else 0o600
        if facts.st_uid == os.geteuid() and not stat.S_ISLNK(facts.st_mode) and needed & ~facts.st_mode:
            return step
    return None


def _in_the_way(error: OSError, home: Path) -> str:
    """What to do about a file of the home that the card does not give, or of the wrong kind; else empty."""
    path = _path_of(error, home)
    if files.is_of_card(error) and (path is not None or not error.filename):
        return f" ({files.CARD_FAILS})"
    for step, facts in () if path is None else _steps(path, home):
        try:
            leads_to = step.stat().st_mode
        except OSError as why:  # EACCES: the link leads into a folder closed to this user
            if stat.S_ISLNK(facts.st_mode) and not isinstance(why, PermissionError):
                return f" ({step} is a link to nothing: mount its target, or remove it)"
            break
        if step != path and not stat.S_ISDIR(leads_to):
            return f" ({step} is where a folder belongs: move it away, and put the folder back)"
        if step == path and stat.S_ISDIR(leads_to):
            return f" (a folder is where a file belongs: move it away: mv {step} {step}.moved)"
    return ""


if __name__ == "__main__":
    sys.exit(main())
