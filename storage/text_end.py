"""Settings and policies as text: a file that says at its top how it ends cannot be cut unseen. No I/O.

TOML that was cut between two lines is still TOML, and what is gone would count as its default: another
store, fewer topics of training. A file without these lines, of an earlier version or made by hand, is taken
as it is.
"""

from __future__ import annotations

ENDS = "# The last line says that it is the end: without that line the file was cut, and is refused."
END = "# end of the file"
CUT = f"was cut: the line {END!r} is not there"
CURE = "restore it from a copy; or, if all of it is there, write that line at its end"
_TOP = 16  # lines in which a file says so


def with_end(header: str, body: str) -> str:
    """A text of comments and what they are about, which says how it ends."""
    return f"{header.rstrip()}\n{ENDS}\n\n{body.rstrip()}\n{END}\n"


def is_cut(text: str) -> bool:
    """Whether a file that says how it ends does not get there. Lines may have been added behind."""
    lines = [line.rstrip() for line in text.split("\n")]
    return ENDS in lines[:_TOP] and END not in lines


def is_open(text: str) -> bool:
    """Whether the last line of a list has no line's end: a list that was cut has none, and its last line may
    name another person than the whole one."""
    return not text.endswith(("\n", "\r"))
