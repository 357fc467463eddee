"""A plate as the value of an option. For `-`, the command reads the plate from standard input.

The shell keeps a command line in its history, and every user of the machine can see it while the command
runs; neither is logged, purged or encrypted.
"""

from __future__ import annotations

import sys
from typing import Any

import click

ASKED = "-"
LONGEST = 200
HELP = "With - the command asks for it, and no shell keeps it."


class TypedPlate(click.ParamType[str]):
    """A plate, or `-`: the next line of the terminal, or of standard input."""

    name = "plate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises click.BadParameter if no line came."""
        if value != ASKED or (ctx is not None and ctx.resilient_parsing):  # the shell is completing the line
            return str(value)
        if sys.stdin.isatty():
            return str(click.prompt("plate", err=True))
        line = sys.stdin.readline(LONGEST).strip()
        if not line:
            self.fail("- takes the plate from standard input, and nothing came", param, ctx)
        return line


PLATE = TypedPlate()
