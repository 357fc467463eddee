"""Settings and policies whose first line says how the file ends, so that a truncated file is detected. No
I/O.

TOML that is cut between two lines is still valid, and every missing key would get its default: another store,
fewer training topics. A file without such a line, from an earlier version or made by hand, is accepted if it
has any content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ENDS = "# The last line says that it is the end: without that line the file was cut, and is refused."
END = "# end of the file"
CUT = f"was cut: the line {END!r} is not there"
CUT_AT_TOP = "was cut: it ends within its first line"
CURE = "restore it from a copy; or, if all of it is there, write that line at its end"
RESTORE = "restore it from a copy"
NO_KEY = "has no key, as if it was cut"
_TOP = 16  # lines in which a file may say so: new files in the first, earlier versions below a header
_SURELY = len("# The last line")  # a first line with this much of ENDS is not another comment
_TWICE = re.compile(r"Cannot overwrite a value \(at (?:line (\d+), column \d+|end of document)\)")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


def with_end(header: str, body: str) -> str:
    """The text of a file with this header and body, which says how it ends."""
    return f"{ENDS}\n{header.rstrip()}\n\n{body.rstrip()}\n{END}\n"


def flaw_of(text: str) -> tuple[str, str] | None:
    """What is wrong at the end of a file, and the cure; None if it ends as it says or does not say how."""
    lines = [line.rstrip() for line in text.removeprefix("\ufeff").split("\n")]
    if lines[0] != ENDS and ENDS.startswith(lines[0]) and len(lines[0]) >= _SURELY:
        return CUT_AT_TOP, RESTORE
    if ENDS not in lines[:_TOP]:
        return None
    if END not in lines:
        return CUT, CURE
    at = lines.index(END)
    for number, line in enumerate(lines[at + 1 :], at + 2):
        # text after the declared end could be cut off unnoticed
        if line and not line.lstrip().startswith("#"):
            return f"line {number} comes after the line {END!r}", "move it above that line"
    return None


def says_nothing(table: Mapping[str, Any]) -> bool:
    """Whether a file has only comments and section names, like a truncated file of an earlier version."""
    return all(value == {} for value in table.values())


def given_twice(error: ValueError, text: str) -> str | None:
    """Which key is defined twice, and where, if that is the TOML parser's error."""
    match = _TWICE.search(str(error))
    if match is None:
        return None
    lines = (text if match[1] else text.rstrip()).split("\n")
    number = int(match[1] or len(lines))
    key = _KEY.match(lines[number - 1])
    return f"line {number}: {key[1]} is given twice; remove one of the two" if key else None


def is_open(text: str) -> bool:
    """Whether the last line lacks a newline: if it was truncated, it may name another person."""
    return not text.endswith(("\n", "\r"))
