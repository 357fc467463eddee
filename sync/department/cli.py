"""The `department` program: finds the command's module, hands it the arguments, turns an error into one line.

A command is a file `sync/department/commands/NAME.py` with `add_parser(subparsers) -> None` and
`run(args) -> int`, and a line in COMMANDS. `--home` (Path) and `--json` (bool) are added to every command
here; only the module of the command that was asked for is imported. Exit status: 0 done, 1 the check found
something wrong, 2 usage or configuration, 3 something that this machine lacks. Results go to stdout, talk to
stderr.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from storage.errors import RefusedError, StorageError
from sync.errors import SyncError

COMMANDS: dict[str, tuple[str, str]] = {
    # verb: (module, what it does); the order is the order of --help
    "init": ("sync.department.commands.init", "make a department's home: keys, authority, store, policy"),
    "serve": ("sync.department.commands.serve", "run the server: receiver, enrolment, desk, daily purge"),
    "enrol": ("sync.department.commands.enrol", "issue a unit's one-time code; list or revoke units"),
    "health": ("sync.department.commands.health", "how the units are; exit 1 if one needs a person"),
    "purge": ("sync.department.commands.purge", "purge what was received over a year ago (463.8)"),
    "hotlist": ("sync.department.commands.hotlist", "sign a hot list and offer it to units"),
    "send": ("sync.department.commands.send", "sign a configuration or an update bundle for units"),
    "grant": ("sync.department.commands.grant", "let technicians and vendors into units' consoles"),
    "user": ("sync.department.commands.user", "people of the desk: roster, credentials, sessions"),
    "training": ("sync.department.commands.training", "yearly training of 463.9"),
    "inquiry": ("sync.department.commands.inquiry", "look-ups, each an ALPR Request in the log"),
    "audit": ("sync.department.commands.audit", "the access log, its periodic audit and findings"),
    "share": ("sync.department.commands.share", "sharing with other agencies (463.6)"),
    "hold": ("sync.department.commands.hold", "holds and evidence (463.8)"),
    "incident": ("sync.department.commands.incident", "what contradicted a unit's past; two people close it"),
    "compliance": ("sync.department.commands.compliance", "list what is overdue; exit 1 if anything is"),
    "clauses": ("sync.department.commands.clauses", "every sentence of 463, and the test that holds it"),
    "controls": ("sync.department.commands.controls", "the CJIS control table with the figures in force"),
    "keys": ("sync.department.commands.keys", "the root file (2 of 3 offline keys) and the key service"),
    "witness": ("sync.department.commands.witness", "a witness outside the department"),
    "verify": ("sync.department.commands.verify", "check every signature, tree, receipt and element"),
}

EXIT_WRONG = 1
EXIT_USAGE = 2
EXIT_LACKING = 3
EXIT_INTERRUPTED = 130


def home_of(text: str | None) -> Path:
    """The data directory: --home, else DEPARTMENT_HOME, else ~/.local/share/alpr-department."""
    chosen = text or os.environ.get("DEPARTMENT_HOME")
    return Path(chosen) if chosen else Path.home() / ".local" / "share" / "alpr-department"


def build_parser(wanted: str | None) -> argparse.ArgumentParser:
    """The command line. Only the verb `wanted` gets its arguments; None loads every verb."""
    parser = argparse.ArgumentParser(
        prog="department",
        description="The department's end of the ALPR reader: receiver, store and policy desk.",
        epilog="example: department init --home /srv/alpr --host alpr.example.gov",
    )
    parser.add_argument("--home", metavar="DIR", help="data directory (else DEPARTMENT_HOME)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, about) in COMMANDS.items():
        if wanted is None or wanted == name:
            import_module(module).add_parser(verbs)
        else:
            verbs.add_parser(name, help=about, add_help=False)
    for verb in set(verbs.choices.values()):
        _common_options(verb)
    return parser


def _common_options(parser: Any) -> None:
    """`--home` and `--json` are taken after the verb too, at any depth of sub-verbs."""
    known = {option for action in parser._actions for option in action.option_strings}
    if "--home" not in known:
        parser.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    if "--json" not in known:
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for deeper in set(action.choices.values()):
                _common_options(deeper)


def verb_of(argv: Sequence[str]) -> str | None:
    """The verb among the arguments: the first word that is a command."""
    return next((word for word in argv if word in COMMANDS), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Known errors become one line on stderr and their exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    _events_to_stderr()
    try:
        wanted = verb_of(words)
        args = build_parser(wanted or "").parse_args(words)
        args.home = home_of(args.home)
        if argv is None:
            _approved_if_asked(args)
        return int(import_module(COMMANDS[args.command][0]).run(args))
    except (KeyboardInterrupt, BrokenPipeError):
        return EXIT_INTERRUPTED
    except (SyncError, StorageError, ModuleNotFoundError, OSError) as error:
        message, status = _explained(error)
        print(f"department: {message}", file=sys.stderr)
        return status


def _explained(error: SyncError | StorageError | ModuleNotFoundError | OSError) -> tuple[str, int]:
    """(the line, the exit status). A path named wrongly is usage; a full disk is this machine's lack."""
    if isinstance(error, SyncError):
        return str(error), error.exit_status
    if isinstance(error, StorageError):
        return f"refused: {error}" if isinstance(error, RefusedError) else str(error), EXIT_WRONG
    if isinstance(error, ModuleNotFoundError):
        cure = "install the 'department' extra: pip install 'alpr-reader[department]'"
        return f"{error.name} is not installed ({cure})", EXIT_LACKING
    usage = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or type(error).__name__}"
    return what, EXIT_USAGE if isinstance(error, usage) else EXIT_LACKING


def _events_to_stderr() -> None:
    """Results alone stand on stdout: events go to stderr as JSON lines, wherever stderr is by then."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_names: structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def _approved_if_asked(args: argparse.Namespace) -> None:
    """In the FIPS profile this process takes approved TLS suites alone: it may start anew for that."""
    from sync.department.ground.home import DepartmentHome  # noqa: PLC0415 - no command is slowed by another's needs
    from sync.department.ground.settings import Settings  # noqa: PLC0415
    from sync.department.ground.tls import restart_for_approved  # noqa: PLC0415

    if getattr(args, "fips", False) or DepartmentHome(args.home, Settings()).fips:
        restart_for_approved(sys.orig_argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())
