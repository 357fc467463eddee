"""The `department` program: one verb each, found by an explicit table.

Exit status: 0 done, 1 the check found something wrong, 2 usage or configuration, 3 something that this
machine lacks. Errors go to stderr, one line: what, where, what to do.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from storage.errors import StorageError
from sync.errors import SyncError

COMMANDS: tuple[str, ...] = (
    # each name is a module of sync.department.commands; the order is the order of --help
)

EXIT_USAGE = 2
EXIT_LACKING = 3


def home_of(text: str | None) -> Path:
    """The data directory: --home, else DEPARTMENT_HOME, else ~/.local/share/alpr-department."""
    chosen = text or os.environ.get("DEPARTMENT_HOME")
    return Path(chosen) if chosen else Path.home() / ".local" / "share" / "alpr-department"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; every command module adds its own verb."""
    parser = argparse.ArgumentParser(
        prog="department", description="The department's end of the ALPR reader: receiver, store and desk."
    )
    parser.add_argument("--home", metavar="DIR", help="data directory (else DEPARTMENT_HOME)")
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"sync.department.commands.{name}").add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Known errors become one line on stderr and their exit status."""
    try:
        args = build_parser().parse_args(argv)
        args.home = home_of(args.home)
        return int(args.run(args))
    except SyncError as error:
        print(f"department: {error}", file=sys.stderr)
        return error.exit_code
    except StorageError as error:
        print(f"department: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(
            f"department: {error.name} is not installed: install the 'department' extra (alpr-reader[department])",
            file=sys.stderr,
        )
        return EXIT_LACKING
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
