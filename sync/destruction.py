"""The destruction receipt of a unit that is reset: what it destroyed that its department never had.

The unit's log key signs it before that key is destroyed. It is sent at once. If the department does not
answer, the receipt is kept in HOME/destroyed and sent with the first sync after the unit has joined again; it
is also printed as text, for `department incident receipt FILE`. It holds counts and record numbers, but
nothing of a read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import files
from storage.errors import RecordError, StorageError
from sync import messages
from sync.errors import LinkError, MessageError, RefusedByDepartmentError
from sync.link import Link

log_events = structlog.get_logger("uplink")
FOLDER = "destroyed"
MAX_RANGES = 200
MAX_HOLDS = 200
MOST_KEPT = 16
BEGIN, END = "-----BEGIN DESTRUCTION RECEIPT-----", "-----END DESTRUCTION RECEIPT-----"
_GRANT = re.compile(r"[A-Za-z0-9._-]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed(messages.Message):
    """Unit: this log ends here, by a factory reset.

    size, checkpoint: of the log at that time; undelivered: how many reads and hits no receipt covered;
    ranges: their record numbers (first, last; at most 200 ranges); holds: evidence that was held; grant_id:
    empty for none.
    """

    KIND: ClassVar[str] = "destroyed"
    log_id: bytes
    unit_id: str
    at_us: int
    size: int
    checkpoint: str
    grant_id: str
    undelivered: int
    ranges: tuple[tuple[int, int], ...]
    holds: tuple[int, ...]

    def check_fields(self) -> None:
        if len(self.log_id) != 32 or len(self.unit_id) > 64 or len(self.checkpoint) > messages.MAX_NOTE:
            raise RecordError("malformed", where="destroyed")
        if not _GRANT.fullmatch(self.grant_id) or len(self.holds) > MAX_HOLDS:
            raise RecordError("malformed", where="destroyed.grant_id, holds")
        before = -1
        for first, last in self.ranges:
            if not before < first <= last < self.size:
                raise RecordError("ranges must rise within the log", where="destroyed.ranges")
            before = last
        covered = sum(last - first + 1 for first, last in self.ranges)
        if len(self.ranges) > MAX_RANGES or not 0 <= self.undelivered <= self.size:
            raise RecordError("out of range", where="destroyed.undelivered")
        if len(self.ranges) < MAX_RANGES and covered < self.undelivered:
            raise RecordError("names fewer records than it counts", where="destroyed.ranges")


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyedHeld(messages.Message):
    """Department: the receipt with this SHA-256 is kept."""

    KIND: ClassVar[str] = "destroyed-held"
    log_id: bytes
    digest: bytes


def ranges_of(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Rising (first, last) pairs that cover exactly these numbers; at most the first 200."""
    found: list[tuple[int, int]] = []
    for one in sorted(set(numbers)):
        if found and one == found[-1][1] + 1:
            found[-1] = (found[-1][0], one)
        elif len(found) == MAX_RANGES:
            break
        else:
            found.append((one, one))
    return tuple(found)


def as_text(message: bytes) -> list[str]:
    """A receipt as lines of text that a person can copy."""
    return [BEGIN, *textwrap.wrap(base64.b64encode(message).decode(), 64), END]


def of_text(data: bytes) -> bytes:
    """The receipt in a file, printed or binary. Raises MessageError."""
    if BEGIN.encode() not in data:
        return data
    inside = data.partition(BEGIN.encode())[2].partition(END.encode())[0]
    try:
        return base64.b64decode(b"".join(inside.split()), validate=True)
    except binascii.Error:
        raise MessageError(
            "is cut off or damaged: copy all of it again", where="destruction receipt"
        ) from None


def keep(home: Path, log_id: bytes, message: bytes) -> None:
    """Keep a receipt that is still to be delivered."""
    path = _path(home, log_id)
    files.make_dir(path.parent)
    files.replace(path, message)


def drop(home: Path, log_id: bytes) -> None:
    """Delete a receipt that the department has. Raises OSError."""
    _path(home, log_id).unlink(missing_ok=True)


def _path(home: Path, log_id: bytes) -> Path:
    return home / FOLDER / f"{log_id.hex()[:16]}.cbor"


def kept(home: Path) -> list[Path]:
    """The files of receipts that are still to be delivered."""
    return sorted((home / FOLDER).glob("*.cbor"))


def send(link: Link, department: Ed25519PublicKey, message: bytes) -> None:
    """Deliver one receipt. Raises LinkError, RefusedByDepartmentError."""
    data = link.post("destroyed", [message])
    held = messages.open_answer(DestroyedHeld, data, department)
    if held.digest != hashlib.sha256(message).digest():
        raise LinkError("an answer about another receipt")


def send_kept(
    home: Path, link: Link, department: Ed25519PublicKey, may_continue: Callable[[], bool] = lambda: True
) -> int:
    """Deliver the kept receipts; returns how many. One that is refused stays. Raises LinkError."""
    done = 0
    for path in kept(home)[:MOST_KEPT]:
        if not may_continue():
            break
        try:
            send(link, department, files.read_bounded(path, messages.MAX_SMALL_BYTES))
            path.unlink()
            done += 1
        except RefusedByDepartmentError as error:
            log_events.warning("destruction_receipt_refused", what=f"{error.code}: {error.what}")
        except (StorageError, OSError) as error:
            log_events.warning("destruction_receipt_unreadable", kind=type(error).__name__)
    return done
