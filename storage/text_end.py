"""Settings and policies whose first line says how the file ends, so that a cut shows. No I/O.

TOML that was cut between two lines is still TOML, and every missing key would fall back to its default:
another store, fewer training topics. A file without such a line, from an earlier version or made by hand, is
accepted if it has any content.
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
_TOP = 16  # lines in which a file says so: new ones in the first, those of earlier versions below a header
_SURELY = len("# The last line")  # a first line of so much of ENDS is no other comment
_TWICE = re.compile(r"Cannot overwrite a value \(at (?:line (\d+), column \d+|end of document)\)")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


def with_end(header: str, body: str) -> str:
    """A text of comments and what they are about, which says how it ends."""
    return f"{ENDS}\n{header.rstrip()}\n\n{body.rstrip()}\n{END}\n"


def flaw_of(text: str) -> tuple[str, str] | None:
    """What is wrong at the end of a file, and the cure. None: it ends as it says, or does not say how."""
    lines = [line.rstrip() for line in text.removeprefix("\ufeff").split("\n")]
    if lines[0] != ENDS and ENDS.startswith(lines[0]) and len(lines[0]) >= _SURELY:
        return CUT_AT_TOP, RESTORE
    if ENDS not in lines[:_TOP]:
        return None
    if END not in lines:
        return CUT, CURE
    at = lines.index(END)
    for number, line in enumerate(lines[at + 1 :], at + 2):
        # text after the declared end could be lost to a cut unnoticed
        if line and not line.lstrip().startswith("#"):
            return f"line {number} is behind the line {END!r}", "move what is there above that line"
    return None


def says_nothing(table: Mapping[str, Any]) -> bool:
    """Whether a file has only comments and section names, as a cut leaves a file of an earlier version."""
    return all(value == {} for value in table.values())


def given_twice(error: ValueError, text: str) -> str | None:
    """Which key is defined twice, and where, if that is the error of the TOML parser."""
    match = _TWICE.search(str(error))
    if match is None:
        return None
    lines = (text if match[1] else text.rstrip()).split("\n")
    number = int(match[1] or len(lines))
    key = _KEY.match(lines[number - 1])
    return f"line {number}: {key[1]} is given twice; take one of the two out" if key else None


def is_open(text: str) -> bool:
    """Whether the last line has no newline: a list that was cut, whose last line may name another person than
    the whole one."""
    return not text.endswith(("\n", "\r"))
