"""Finds reads: every stored text in the requested time is opened in memory and compared; there is no index.

A pattern is plate text in which `?` matches any character. A stored `?` (an unreadable slot) also matches any
character; such a match is marked as not exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage import schema, sealing
from storage.envelope import encode
from storage.epochs import EpochFacts
from storage.errors import RecordError, SealError
from storage.home import Home
from storage.plate_text import PLATE_TEXT
from storage.record_base import KeyClass
from storage.times import DAY_US, HOUR_US

CONTENT = (KeyClass.READ, KeyClass.HIT)
_NONCE, _CONTENT = sealing.NONCE_BYTES, sealing.SALT_BYTES + 4
_NAME = encode("text")
# The beginning of an element `text`, so that a lookup need not decode each: a map whose first two fields are
# `demo` and `text` (in the order of RFC 8949, 4.2.1). Anything else is decoded.
_TEXT_HEAD = re.compile(rb"[\xa2-\xb7]ddemo[\xf4\xf5]dtext[\x61-\x70]([A-Z0-9?]{1,16})(?=[\x60-\x7f])")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitQuery:
    """A search: a `plate` pattern, or all plates, within [since, until) UTC microseconds."""

    plate: str | None = field(repr=False)
    since_us: int
    until_us: int

    def check(self) -> None:
        if self.plate is not None and not PLATE_TEXT.fullmatch(self.plate):
            raise RecordError("must be 1 to 16 of A-Z, 0-9, ?", where="plate")
        if not 0 <= self.since_us <= self.until_us:
            raise RecordError("must run forward", where="since, until")


def matches(pattern: str | None, text: str) -> tuple[bool, bool]:
    """(matches, exactly)."""
    if pattern is None:
        return True, True
    if len(pattern) != len(text):
        return False, False
    alike = all(a in (b, "?") or b == "?" for a, b in zip(pattern, text, strict=True))
    return alike, alike and "?" not in text


def find_texts(
    home: Home, epochs: list[EpochFacts], keys: Mapping[int, bytes], log_id: bytes, plate: str | None
) -> Iterator[tuple[int, bool]]:
    """(sequence, exact) of reads whose text matches, oldest first, on its own connection.

    epochs: those with reads that may be in the requested time. Raises SealError for a damaged element.
    """
    database = schema.connect(home.database, readonly=True)
    sql = (
        "SELECT l.sequence, e.stored FROM leaves l JOIN elements e ON e.sequence = l.sequence "
        "AND e.name = 'text' WHERE l.epoch = ? ORDER BY l.sequence"
    )
    wanted = plate or ""
    try:
        aad_of = _aad_maker(log_id)
        for facts in epochs:
            decrypt = AESGCM(keys[facts.epoch]).decrypt
            for sequence, stored in database.conn.execute(sql, (facts.epoch,)):
                try:
                    frame = decrypt(stored[:_NONCE], stored[_NONCE:], aad_of(sequence))
                except InvalidTag:
                    raise SealError("does not open under its key", where=f"record {sequence}, text") from None
                head = _TEXT_HEAD.match(frame, _CONTENT)
                text = head[1].decode() if head is not None else _text(sequence, frame)
                alike, exact = (text == plate, True) if "?" not in text + wanted else matches(plate, text)
                if alike or plate is None:
                    yield sequence, exact
    finally:
        database.close()


def _aad_maker(log_id: bytes) -> Callable[[int], bytes]:
    """A fast `sealing.aad_of` for the texts of one log, since a lookup needs one per read."""
    probe = 23  # one byte in CBOR, so the bytes around the number are the same for every number
    around = sealing.aad_of(log_id, probe, "text")
    before, after = around[: -len(_NAME) - 1], around[-len(_NAME) :]
    return lambda sequence: before + cbor2.dumps(sequence) + after


def _text(sequence: int, frame: bytes) -> str:
    """Only the plate text, decoded from the whole element; matches are opened again in full."""
    facts = cbor2.loads(sealing.unframe("text", frame).content)  # authenticated by our key, so well formed
    text = facts.get("text") if isinstance(facts, dict) else None
    if not isinstance(text, str):
        raise SealError("holds no text", where=f"record {sequence}, text")
    return text


def candidates(
    epochs: Mapping[int, EpochFacts],
    keys: Mapping[int, bytes],
    query: UnitQuery,
    said: Callable[[EpochFacts], Sequence[int]] = lambda _facts: (),
) -> list[EpochFacts]:
    """Epochs with reads, an openable key and a time that may overlap the query's.

    `said`: the times of some reads of an epoch. An epoch's times are custody's and a read's are the camera's:
    with a clock that custody did not follow, they may be years apart.
    """

    def overlaps(first_us: int, last_us: int | None, slack: int) -> bool:
        return first_us - slack < query.until_us and (last_us is None or last_us + slack >= query.since_us)

    def asked(facts: EpochFacts) -> bool:
        if overlaps(facts.opened_us, facts.closed_us, HOUR_US):
            return True
        times = said(facts)
        return bool(times) and overlaps(min(times), max(times), DAY_US)

    return [
        facts
        for facts in epochs.values()
        if facts.key_class in CONTENT and facts.purged_by is None and facts.epoch in keys and asked(facts)
    ]
