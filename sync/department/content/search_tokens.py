"""Search tokens: makes them from plates, and checks that a read has exactly its own. No I/O, shows no plate.

A read's token is HMAC-SHA-256 over its text, cut to 16 bytes, under a key derived from that of its day of
receipt. This allows exact search without a readable index. The table of tokens is not signed, so anyone who
can write to it could hide a read from exact searches. So the key service recomputes each token and says
whether it matches.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage import codec
from storage.counts import counted
from storage.leaf import Leaf
from storage.read_records import Read, ReadText

TEXT = "text"
TOKEN_BYTES = 16
_TOKEN_INFO = b"alpr-reader/search-token/v1"


@dataclass(frozen=True, slots=True)
class StoredElement:
    """One element as stored by a unit or the department, with the leaf of its record."""

    leaf: bytes
    name: str
    stored: bytes

    def __repr__(self) -> str:
        return f"StoredElement({self.name}, {len(self.stored)} bytes)"


@dataclass(frozen=True, slots=True)
class IndexedText:
    """A stored text with every token by which the store finds its read."""

    text: StoredElement
    tokens: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"IndexedText({len(self.tokens)} tokens)"


def token_key(store: bytes) -> bytes:
    """The token key of a day of receipt, derived from its store key."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_TOKEN_INFO).derive(store)


def token_of(key: bytes, plate: str) -> bytes:
    """The token of a plate."""
    return hmac.new(key, plate.encode(), hashlib.sha256).digest()[:TOKEN_BYTES]


def own_token(key: bytes, leaf: Leaf, name: str, content: bytes) -> bytes | None:
    """The token of an opened element; None if it is not searchable. Raises RecordError."""
    if leaf.kind != Read.KIND or name != TEXT:
        return None
    return token_of(key, codec.from_bytes(ReadText, content).text)


def wrong_with_tokens(key: bytes, leaf: Leaf, one: IndexedText, content: bytes) -> str | None:
    """Why a text does not have exactly its own token, or None. `content`: the opened text.

    Raises StorageError.
    """
    own, tokens = own_token(key, leaf, one.text.name, content), one.tokens
    expected = () if own is None else (own,)
    if len(tokens) > len(expected):
        return f"has {counted(len(tokens), 'search token')}, not {len(expected)}"
    if len(tokens) < len(expected):
        return "its search token is not here: no exact search finds it"
    if own is not None and not hmac.compare_digest(own, tokens[0]):
        return "its search token is not its own: no exact search finds it"
    return None
