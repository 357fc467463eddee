"""DER (X.690), as far as a CMS signature needs it: definite lengths, one-byte tags. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from storage.errors import UpdateFileError

INTEGER, OCTETS, OID, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31
MAX_PARTS = 4096


@dataclass(frozen=True, slots=True)
class Der:
    """One value: its tag, its content, and the bytes of the whole."""

    tag: int
    content: bytes
    whole: bytes

    @classmethod
    def of(cls, data: bytes, tag: int) -> Self:
        """The one value that these bytes are. Raises UpdateFileError."""
        found = cls.each(data)
        if len(found) != 1:
            raise malformed()
        return found[0].being(tag)

    @classmethod
    def each(cls, data: bytes) -> list[Self]:
        """The values that these bytes are, one after another. Raises UpdateFileError."""
        found: list[Self] = []
        at = 0
        while at < len(data):
            start, at = at, at + 2
            if at > len(data) or data[start] & 0x1F == 0x1F or len(found) >= MAX_PARTS:
                raise malformed()
            length = data[start + 1]
            if length & 0x80:
                more = length & 0x7F
                if not 1 <= more <= 4:
                    raise malformed()
                length, at = int.from_bytes(data[at : at + more], "big"), at + more
            if at + length > len(data):
                raise malformed()
            found.append(cls(data[start], data[at : at + length], data[start : at + length]))
            at += length
        return found

    def being(self, tag: int) -> Self:
        """Itself, if it has this tag. Raises UpdateFileError."""
        if self.tag != tag:
            raise malformed()
        return self

    def parts(self, tag: int) -> list[Self]:
        """The values in it, if it has this tag. Raises UpdateFileError."""
        return self.each(self.being(tag).content)

    @property
    def oid(self) -> str:
        """An object identifier in dots. Raises UpdateFileError."""
        content = self.being(OID).content
        if not content or content[-1] & 0x80 or len(content) > 32:
            raise malformed()
        numbers, number = list[int](), 0
        for byte in content:
            number = number << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(number)
                number = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(str(one) for one in (first, numbers[0] - 40 * first, *numbers[1:]))


def malformed() -> UpdateFileError:
    """What is said of bytes that are no signature."""
    return UpdateFileError("the signature at the end of its RAUC bundle is none (CMS)")
