"""One entry of a hot list, its folded plate, and its bytes. No I/O. `repr` never shows a plate.

O and 0, I and 1 are one character here: one die presses both in many states, and sources confuse them as
cameras do. Bytes: a canonical CBOR array of the fields in their order, trailing empty ones left out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, fields
from typing import Any

from storage.envelope import decode, encode
from storage.errors import RecordError
from storage.ids import TERM_ID
from storage.plate_states import STATE
from storage.plate_text import fold

PLATE = re.compile(r"[A-Z0-9]{1,16}")
CLASSES = ("", "car", "motorcycle", "trailer", "truck")
MAX_TEXT = 200
MAX_ENTRY_BYTES = 4096
_RANK = {character: rank for rank, character in enumerate("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", start=1)}
_BASE = len(_RANK) + 1
EXACT_LENGTH = 12  # so many characters fit a 63-bit number without collision


def key_of(plate: str) -> int:
    """The 64-bit key of a plate's folded form: a number in base 35; over 12 characters, of its SHA-256."""
    folded = fold(plate)
    if len(folded) > EXACT_LENGTH:
        return int.from_bytes(hashlib.sha256(folded.encode()).digest()[:8], "big") | 1 << 63
    key = 0
    for character in folded:
        key = key * _BASE + _RANK[character]
    return key


def cleared_name(entry: bytes, plate: str) -> bytes:
    """The digest for "a person found this plate not to be wanted by this entry": 32 bytes that show neither.

    entry: the entry's SHA-256.
    """
    return hashlib.sha256(b"alpr cleared\0" + entry + fold(plate).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """Who is looked for. Empty texts and None mean that the source does not say.

    `state`: ISO 3166, e.g. US-CA or MX. `plate_class`: car, motorcycle, trailer, truck. `vin_tail`: its last
    8 at most. `case`: the source's case number. `agency`: who entered it (ORI). `reference`: the source's own
    number (NIC). `until_us`: when it expires. `requester`, `approver`: of an entry that a department
    made itself. `recipients`: who alone sees the alert of a covert entry.
    """

    plate: str = field(repr=False)
    category: str
    state: str = ""
    reason: str = field(default="", repr=False)
    make: str = ""
    model: str = ""
    color: str = ""
    year: int | None = None
    plate_class: str = ""
    vin_tail: str = field(default="", repr=False)
    case: str = field(default="", repr=False)
    agency: str = ""
    reference: str = field(default="", repr=False)
    from_us: int | None = None
    until_us: int | None = None
    requester: str = ""
    approver: str = ""
    recipients: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not PLATE.fullmatch(self.plate):
            raise RecordError("a plate is 1 to 16 of A-Z and 0-9", where="entry.plate")
        if not TERM_ID.fullmatch(self.category):
            raise RecordError("a category is small letters, digits and -", where="entry.category")
        if self.state and not STATE.fullmatch(self.state):
            raise RecordError("a state is written as US-CA", where="entry.state")
        if self.plate_class not in CLASSES:
            raise RecordError(f"must be among {', '.join(CLASSES[1:])}", where="entry.plate_class")
        if self.year is not None and not 1900 <= self.year <= 2100:
            raise RecordError("must be in 1900 to 2100", where="entry.year")
        for name in _TEXTS:
            text = getattr(self, name)
            if len(text) > MAX_TEXT or (text and not text.isprintable()):
                raise RecordError(f"needs at most {MAX_TEXT} printable characters", where=f"entry.{name}")
        if len(self.recipients) > 32 or not all(one and one.isprintable() for one in self.recipients):
            raise RecordError("names at most 32 people", where="entry.recipients")

    @property
    def key(self) -> int:
        """See `key_of`."""
        return key_of(self.plate)

    @property
    def covert(self) -> bool:
        """Whether only named people may see its alert."""
        return bool(self.recipients)

    @property
    def subject(self) -> tuple[str | tuple[str, ...], ...]:
        """What is wanted, for what, by whom: another entry with the same says it in other words."""
        return self.plate, self.state, self.category, self.requester, self.approver, self.recipients

    def runs(self, at_us: int, *, at_most_us: int) -> bool:
        """Whether it has begun and has not ended, where it is `at_us` at least and perhaps `at_most_us`."""
        return (self.from_us is None or self.from_us <= max(at_us, at_most_us)) and (
            self.until_us is None or at_us < self.until_us
        )

    def to_bytes(self) -> bytes:
        """The entry's bytes, the same for equal entries."""
        values: list[Any] = [getattr(self, name) for name in _NAMES]
        values[-1] = list(self.recipients)
        while values and values[-1] in ("", None, []):
            values.pop()
        return encode(values)

    @classmethod
    def from_bytes(cls, data: bytes) -> ListEntry:
        """Raises EnvelopeError, RecordError."""
        values = decode(data, limit=MAX_ENTRY_BYTES)
        if not isinstance(values, list) or not 2 <= len(values) <= len(_NAMES):
            raise RecordError("is not a list of its fields", where="entry")
        for name, value in zip(_NAMES, values, strict=False):
            if not _fits(name, value):
                raise RecordError("has the wrong type", where=f"entry.{name}")
        made = dict(zip(_NAMES, values, strict=False))
        if "recipients" in made:
            made["recipients"] = tuple(made["recipients"])
        entry = cls(**made)
        if entry.to_bytes() != data:
            raise RecordError("is not in its one form", where="entry")
        return entry


_NAMES = tuple(one.name for one in fields(ListEntry))
_NUMBERS = frozenset({"year", "from_us", "until_us"})
_TEXTS = tuple(
    name
    for name in _NAMES
    if name not in {*_NUMBERS, "plate", "category", "state", "plate_class", "recipients"}
)


def _fits(name: str, value: object) -> bool:
    if name in _NUMBERS:
        return value is None or type(value) is int
    if name == "recipients":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, str)
