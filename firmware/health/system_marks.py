"""What the image's system leaves for the health report: small files of root, which other systems lack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GIVEN_UP = Path("/var/lib/alpr-update/given-up")
OTHER_DISK = Path("/run/alpr/other-disk")
LINE_LIMIT = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMarks:
    """given_up: the update that was tried and given up, and why. other_disk: another disk with this unit's
    labels.

    Empty: none.
    """

    given_up: str = ""
    other_disk: str = ""


def system_marks(given_up: Path = GIVEN_UP, other_disk: Path = OTHER_DISK) -> SystemMarks:
    """Read the current marks."""
    return SystemMarks(given_up=_line(given_up), other_disk=_line(other_disk))


def _line(path: Path) -> str:
    """The line of a mark; for one that exists but cannot be read, a line that says so."""
    try:
        with path.open("rb") as file:
            text = file.read(LINE_LIMIT).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path}: {error.strerror}"
    shown = "".join(one for one in text.partition("\n")[0] if one.isprintable())
    return shown or f"{path} is empty"
