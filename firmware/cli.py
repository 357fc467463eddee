"""`reader`: finds the command's module, hands it the arguments, turns an error into one line and a status.

A command is a file `firmware/commands/NAME.py` with two functions, and a line in COMMANDS:

    def add_parser(subparsers: Subparsers) -> None:
        parser = subparsers.add_parser("verify", description=..., epilog="example: reader verify HOME")
        parser.add_argument(...)

    def run(args: argparse.Namespace) -> int:          # the exit status
        ...

`--home` (Path) and `--json` (bool) are added to every command here. Results go to stdout, talk to stderr.
Only the module of the command that was asked for is imported, so that `reader status` starts quickly on a Pi.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from detector.errors import DetectorError, MissingModelError, MissingRuntimeError
from firmware.errors import DONE, FOUND_WRONG, MISUSE, PART_LACKING, FirmwareError
from firmware.lasting_stream import open_standard_streams
from firmware.log import events_to_stderr
from hw.errors import HardwareError, MissingDriverError, NoSuchSourceError
from storage.errors import HomeLockedError, StorageError
from sync.errors import SyncError

# name -> (module, what it does in one line); the order is that of `reader --help`
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("firmware.commands.init", "make a home: keys and a configuration with comments"),
    "run": ("firmware.commands.run", "the main job: frames in, signed reads out"),
    "read": ("firmware.commands.read", "read plates in image files; stores nothing"),
    "verify": ("firmware.commands.verify", "check every signature, the log and the receipts"),
    "query": ("firmware.commands.query", "look content up, after the access entry is in the log"),
    "audit": ("firmware.commands.audit", "the access log, form ALPR Request"),
    "retention": ("firmware.commands.retention", "what is due for purging and why; purge now"),
    "hold": ("firmware.commands.hold", "keep a record beyond its day, on a ground and an authority (463.8)"),
    "release": ("firmware.commands.release", "end a hold, with evidence item and second person"),
    "export": ("firmware.commands.export", "an evidence package for court"),
    "enrol": ("firmware.commands.enrol", "join a department with its one-time code"),
    "sync": ("firmware.commands.sync", "speak to the department now, or see how it went"),
    "status": ("firmware.commands.status", "health of the unit, without a plate"),
    "selftest": ("firmware.commands.selftest", "test every part, without a plate"),
    "console": ("firmware.commands.console", "the technician console, on a serial port or here"),
    "grant": ("firmware.commands.grant", "answer a console's challenge with your SSH key"),
}

DEFAULT_HOME = "/var/lib/alpr-reader"


class CommandParser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, and knows `--home` and `--json` everywhere."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.add_argument(
            "--home", type=Path, metavar="DIR", default=argparse.SUPPRESS, help="data folder (or READER_HOME)"
        )
        self.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object a line"
        )

    def error(self, message: str) -> NoReturn:
        """One line on stderr, exit status 2."""
        self.exit(MISUSE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser(command: str | None) -> CommandParser:
    """The parser of `reader`; only the named command, if it is one, gets its arguments."""
    listed = "\n".join(f"  {name:<11} {what}" for name, (_, what) in COMMANDS.items())
    parser = CommandParser(
        prog="reader",
        description=f"The plate reader of one unit.\n\ncommands:\n{listed}",
        epilog="exit status: 0 done, 1 the check found something wrong, 2 usage or configuration, "
        "3 a part is missing\nexample: reader --home ./demo run --source ./frames --once",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="reader [--home DIR] [--json] COMMAND ...",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS)
    if command is not None and command not in COMMANDS:
        parser.error(f"no command {command!r}: one of {', '.join(COMMANDS)}")
    if command is not None:
        import_module(COMMANDS[command][0]).add_parser(subparsers)
    return parser


def asked_command(argv: list[str]) -> str | None:
    """The first word that is neither an option nor the value of `--home`."""
    words = iter(argv)
    for word in words:
        if word == "--home":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    open_standard_streams()
    argv = sys.argv[1:] if argv is None else argv
    command = asked_command(argv)
    args = build_parser(command).parse_args(argv)
    if command is None:
        build_parser(None).print_help(sys.stderr)
        return MISUSE
    args.home = Path(getattr(args, "home", None) or os.environ.get("READER_HOME") or DEFAULT_HOME)
    args.json = getattr(args, "json", False)
    events_to_stderr()
    try:
        return int(import_module(COMMANDS[command][0]).run(args))
    except (FirmwareError, HardwareError, StorageError, DetectorError, SyncError) as error:
        return _refuse(f"{command}: {error}", exit_status_of(error))
    except PermissionError as error:
        return _refuse(f"{command}: {error.filename}: permission denied (run as its owner)", MISUSE)
    except BrokenPipeError:  # the reader of our output went away, as `head` does; nothing is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (
        OSError,
        sqlite3.Error,
    ) as error:  # a full or read-only disk, a failing card
        return _refuse(f"{command}: {_trouble(error, args.home)}", FOUND_WRONG)


def _trouble(error: OSError | sqlite3.Error, home: Path) -> str:
    """What the system, or SQLite, said, and of which file."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{home}: the database cannot be used: {error}"


def exit_status_of(error: Exception) -> int:
    """An error may carry its own `exit_status`; a missing driver is a missing part; anything else is 1."""
    if isinstance(error, MissingDriverError | MissingRuntimeError | MissingModelError):
        return PART_LACKING
    if isinstance(error, NoSuchSourceError | HomeLockedError):
        return MISUSE
    return int(getattr(error, "exit_status", FOUND_WRONG))


def _refuse(message: str, status: int) -> int:
    print(f"reader: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
