"""The fields of a form as typed, and their conversion for the calls. No I/O.

Texts stay as typed until a call reads them. Only what HTML cannot send directly is converted here: local
times, numbers, check boxes. Raises FormError naming the field.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from starlette.datastructures import UploadFile

from storage.errors import RecordError
from storage.times import us_of
from sync.department.ground.local_time import local, typed_us
from sync.department.policy.refusals import FormError

SECRET = frozenset({"password", "code", "new_code", "old", "new", "again", "passkey", "response"})
CHOSEN = "chosen-file"  # the name of a file that was chosen, from a page that locks itself
OWN = frozenset({"mark", "once", "from", "now", CHOSEN})
HIDDEN = frozenset({"act", "do", "row", "next", "proof", "new_authenticator"})  # said by the form, not typed
OF_LISTS = ("page-", "find-")  # which page of a list the form was on
PERIODS = frozenset({"until"})  # fields that end a time that is asked about
ENDS = PERIODS | {"ends", "to"}  # fields that end anything
MAX_FIELDS = 400
CLAUSE = "463.5"


@dataclass(frozen=True, slots=True)
class Values(Mapping[str, str]):
    """The fields of a sent form: the first of each name. `all_of` returns the others. The repr shows none."""

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> str:
        for known, value in self.pairs:
            if known == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(dict(self.pairs))

    def all_of(self, name: str) -> tuple[str, ...]:
        """Every value of a name, in order."""
        return tuple(value for known, value in self.pairs if known == name)

    def text(self, name: str, otherwise: str = "") -> str:
        """A text without the blanks around it."""
        return self.get(name, otherwise).strip()

    def ticked(self, name: str) -> bool:
        """Whether a check box was ticked."""
        return self.get(name, "") not in {"", "no"}

    def number(self, name: str, otherwise: int = -1) -> int:
        """A whole number. Raises FormError."""
        text = self.text(name)
        if not text:
            return otherwise
        if not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 15:
            raise FormError(f"{name}: is not a whole number", code=name, clause=CLAUSE)
        return int(text)

    def decimal(self, name: str) -> float:
        """A number with a point. Raises FormError."""
        if not self.text(name):
            raise FormError(f"{name}: is missing", code=name, clause=CLAUSE)
        try:
            value = float(self.text(name))
        except ValueError:
            raise FormError(f"{name}: is not a number, such as 34.15", code=name, clause=CLAUSE) from None
        if not math.isfinite(value):
            raise FormError(f"{name}: is not a number, such as 34.15", code=name, clause=CLAUSE)
        return value

    def moment_us(self, name: str, zone: tzinfo, now_us: int) -> int:
        """Convert a time on the department's clocks, as a browser sends it, to UTC microseconds.

        In the hour that the clocks repeat, an end means the later time and anything else the earlier, so that
        a search covers more rather than less. While the later time is still in the future, the end of a time
        asked about means the earlier one. Raises FormError.
        """
        text = self.text(name)
        try:
            given = datetime.fromisoformat(text)
        except ValueError:
            raise FormError(
                f"{name}: is not a time, such as 2026-11-26T14:05", code=name, clause=CLAUSE
            ) from None
        if given.tzinfo is not None:
            return us_of(given)
        kind = name.rpartition(".")[2].partition("_")[0]
        try:
            first, second = (typed_us(given, zone, later=later) for later in (False, kind in ENDS))
        except RecordError as error:
            raise FormError(f"{name}: {error.what}", code=name, clause=CLAUSE) from None
        return first if kind in PERIODS and first <= now_us < second else second

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the files that were chosen, whether they were sent or only named."""
        return (*(name for name, _ in self.files.values()), *self.all_of(CHOSEN))

    def digest(self) -> bytes:
        """The SHA-256 of everything that was typed and sent."""
        made = hashlib.sha256(repr(self.pairs).encode("utf-8", "surrogatepass"))
        for name, (file_name, data) in sorted(self.files.items()):
            made.update(repr((name, file_name)).encode("utf-8", "surrogatepass"))
            made.update(hashlib.sha256(data).digest())
        return made.digest()

    def kept(self) -> tuple[tuple[str, str], ...]:
        """The pairs of a form that may be kept if it was not accepted: no password, no code, no mark."""
        return tuple(one for one in self.pairs if one[0] not in SECRET | OWN)

    def shown(self) -> list[tuple[str, str]]:
        """(name, value) of what a person typed or chose, without what pages add and without secrets."""
        kept = (one for one in self.kept() if one[0] not in HIDDEN and not one[0].startswith(OF_LISTS))
        return [(name.rpartition(".")[2], value) for name, value in kept if value.strip()]


def local_input(at_us: int, zone: tzinfo) -> str:
    """A time as a form's field shows it, to the minute."""
    return local(at_us, zone).strftime("%Y-%m-%dT%H:%M")


async def values_of(items: Iterable[tuple[str, Any]]) -> Values:
    """The fields of a parsed body. Raises FormError if there are too many."""
    pairs: list[tuple[str, str]] = []
    files: dict[str, tuple[str, bytes]] = {}
    for name, value in items:
        if isinstance(value, UploadFile):
            data = await value.read()
            if value.filename:
                files[name] = (value.filename, data)
        else:
            pairs.append((str(name), str(value)))
    if len(pairs) > MAX_FIELDS:
        raise FormError(f"a form has {MAX_FIELDS} fields at most", code="form", clause=CLAUSE)
    return Values(tuple(pairs), files)
