"""Parses a typed line into a command with checked words, and into its recorded form. No I/O."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.console.errors import LineRefusedError

WORDS_LIMIT = 8
SECRET = "***"  # noqa: S105 - what is in the log in a secret's place


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a command is typed. words: a pattern for each argument; the last `optional` ones may be left out.

    limits: the allowed words, if `usage` does not show them.
    one_name: the words form one name, which may contain spaces as it does at the department.
    secret: index of the argument that is never recorded, or -1. granted: the word that a grant must
    name; "" for commands that need none.
    """

    name: str
    usage: str
    about: str
    words: tuple[str, ...] = ()
    optional: int = 0
    one_name: bool = False
    secret: int = -1
    granted: str = ""
    live: bool = False
    before_enrollment: bool = False
    limits: str = ""


_UNIT = r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}"
_TIME = r"20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ"

FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form(name="status", usage="status", about="health of the unit", granted="status"),
        Form(
            name="aim", usage="aim [preview] [SECONDS]", about="live numbers; a coarse masked picture",
            words=(r"preview|\d{1,4}", r"\d{1,4}"), optional=2, limits="SECONDS a whole number, 0 to 9999",
            granted="aim", live=True, before_enrollment=True,
        ),
        Form(
            name="camera", usage="camera [NAME [VALUE]]", about="show or change camera settings",
            words=(r"[a-z_]{1,32}", r"[A-Za-z0-9._-]{1,32}"), optional=2, granted="camera",
            limits="VALUE a number, or default"
        ),
        Form(
            name="network", usage="network [wifi NAME]",
            about="links; join a network (asks for the passphrase)",
            words=("wifi", r".{1,32}", r".{0,64}"), optional=3, secret=2,
            granted="network", before_enrollment=True,
        ),
        Form(
            name="time", usage="time [YYYY-MM-DDTHH:MM:SSZ]", about="show or set the clock (UTC)",
            words=(_TIME,), optional=1, granted="time", limits="UTC, years 2000 to 2099",
        ),
        Form(name="storage", usage="storage", about="log, keys, disk and card", granted="storage"),
        Form(
            name="sync", usage="sync now", about="sync with the department now",
            words=("now",), granted="sync",
        ),
        Form(
            name="selftest", usage="selftest", about="test every part, without a plate",
            granted="selftest", before_enrollment=True,
        ),
        Form(
            name="logs", usage="logs [COUNT]", about="newest lines of the system log",
            words=(r"0*[1-9]\d{0,2}",), optional=1, granted="logs", limits="COUNT a whole number, 1 to 999",
        ),
        Form(
            name="update", usage="update [NAME or PATH]",
            about="versions; install a bundle from a sync, or one at PATH",
            words=(r"[A-Za-z0-9/_.-]{1,128}",), optional=1, granted="update",
        ),
        Form(
            name="reboot", usage="reboot UNIT", about="restart; type the unit's name to confirm",
            words=(_UNIT,), one_name=True, granted="reboot",
        ),
        Form(
            name="factory-reset", usage="factory-reset UNIT",
            about="destroy all keys, then everything; type the unit's name to confirm",
            words=(_UNIT,), one_name=True, granted="factory-reset",
        ),
        Form(
            name="enroll", usage="enroll [CODE]", about="join a department (asks for the code)",
            words=(r"\S{8,200}",), optional=1, secret=0, before_enrollment=True,
        ),
        Form(name="login", usage="login", about="log in with a grant and its holder's key"),
        Form(name="help", usage="help", about="this list", before_enrollment=True),
        Form(name="exit", usage="exit", about="end the session", before_enrollment=True),
    )
}  # fmt: skip


SPELLED = {"enrol": "enroll"}  # accepted, but never offered


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A well-formed command line."""

    form: Form
    words: tuple[str, ...]

    @property
    def recorded(self) -> str:
        """The line as the log records it."""
        words = [SECRET if at == self.form.secret else word for at, word in enumerate(self.words)]
        return " ".join([self.form.name, *words])


def parse(line: str) -> Command | None:
    """Parse a line; None for an empty one. Raises LineRefusedError."""
    if not line.isascii() or not line.isprintable():
        raise LineRefusedError("a command has only printable characters")
    try:
        name, *words = shlex.split(line) or [""]
    except ValueError:
        raise LineRefusedError("a quotation mark is not closed") from None
    if not name:
        return None
    form = FORMS.get(SPELLED.get(name, name))
    if form is None:
        raise LineRefusedError("no such command: type help")
    if form.one_name and words:
        words = [" ".join(words)]
    least = len(form.words) - form.optional
    fits = least <= len(words) <= len(form.words) and len(words) <= WORDS_LIMIT
    if not fits or not all(
        re.fullmatch(pattern, word) for pattern, word in zip(form.words, words, strict=False)
    ):
        raise LineRefusedError(f"usage: {form.usage}{form.limits and f' ({form.limits})'}")
    return Command(form=form, words=tuple(words))


def recorded_form(line: str) -> str:
    """How the log records a line that is not a command: at most its first word; the rest may be a secret."""
    word = line.split(" ", 1)[0] if line.strip() else ""
    if word in FORMS:
        return word if word == line.strip() else f"{word} ({len(line)} characters, refused)"
    return f"({len(line)} characters, not a command)"


def completions(start: str, offered: Sequence[str]) -> Sequence[str]:
    """The words that the unfinished word at the end of start can become."""
    head, _, word = start.rpartition(" ")
    if not head:
        return sorted(name for name in offered if name.startswith(word))
    fixed = {"aim": ["preview"], "sync": ["now"], "network": ["wifi"]}.get(head.strip(), [])
    return [option for option in fixed if option.startswith(word)]
