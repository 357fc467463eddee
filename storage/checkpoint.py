"""Signed tree heads as C2SP signed notes: `tlog-checkpoint`, `tlog-cosignature`. No I/O.

    <origin>\\n<size>\\n<root, base64>\\n\\n— <key name> <base64(4-byte key id || signature)>\\n

The log's own signature is note type 0x01 (Ed25519 over the text). A co-signature is type 0x04: an
8-byte time in seconds and a signature over "cosignature/v1\\ntime <t>\\n" and the text.
The `open_*` functions return a trusted value or raise; there is no `is_valid`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.envelope import verify_ed25519
from storage.errors import CheckpointError

TYPE_ED25519 = 0x01
TYPE_COSIGNATURE = 0x04
MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 16
KEY_NAME = re.compile(r"[^\s+]{1,255}")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def _b64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointError(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise CheckpointError(f"{what} is not canonical base64")
    return data


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A named verifying key: its `name` in notes, the Ed25519 key `public`, the note type."""

    name: str
    public: Ed25519PublicKey
    type: int = TYPE_ED25519

    @property
    def key_id(self) -> bytes:
        raw = self.public.public_bytes_raw()
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + raw).digest()[:4]

    def text(self) -> str:
        """The C2SP vkey: name+id+base64(type || key)."""
        raw = bytes([self.type]) + self.public.public_bytes_raw()
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(raw).decode()}"

    @classmethod
    def parse(cls, text: str) -> NoteKey:
        """Parse a vkey line. Raises CheckpointError."""
        name, _, rest = text.strip().partition("+")
        hexid, _, encoded = rest.partition("+")
        raw = _b64(encoded, "the key")
        if not KEY_NAME.fullmatch(name) or len(raw) != 33 or raw[0] not in (TYPE_ED25519, TYPE_COSIGNATURE):
            raise CheckpointError("not a public key of the form name+id+base64 (C2SP signed-note)")
        key = cls(name, Ed25519PublicKey.from_public_bytes(raw[1:]), raw[0])
        if key.key_id.hex() != hexid:
            raise CheckpointError("the key's id does not belong to its name and bytes: a copying error?")
        return key


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: `origin` names the log, `size` leaves, `root` 32 bytes."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text, ending in a newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Parse the note text without its signatures. Raises CheckpointError. Extension lines are refused."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] != "":
            raise CheckpointError("a checkpoint has three lines: origin, size, root")
        origin, size, root = lines[0], lines[1], _b64(lines[2], "the root hash")
        if not origin or len(root) != 32 or not _DECIMAL.fullmatch(size):
            raise CheckpointError("origin, tree size or root hash is malformed")
        return cls(origin, int(size), root)


@dataclass(frozen=True, slots=True)
class Cosignature:
    """Who co-signed, and when by their clock (Unix seconds)."""

    name: str
    time_s: int


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """(text, [(key name, id || signature)]) of a signed note. Raises CheckpointError."""
    if len(note.encode()) > MAX_NOTE_BYTES:
        raise CheckpointError(f"a note is at most {MAX_NOTE_BYTES} bytes")
    head, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise CheckpointError("not a signed note: text, empty line, signatures")
    signatures = []
    for line in tail[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "—" or not KEY_NAME.fullmatch(name):
            raise CheckpointError("a signature line does not start with a dash and a key name")
        signatures.append((name, _b64(encoded, f"the signature of {name}")))
    if len(signatures) > MAX_SIGNATURES:
        raise CheckpointError(f"more than {MAX_SIGNATURES} signatures")
    return head + "\n", signatures


def _line(name: str, key_id: bytes, signature: bytes) -> str:
    return f"— {name} {base64.b64encode(key_id + signature).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The signed note; the key's name is the origin."""
    who = NoteKey(checkpoint.origin, key.public_key())
    text = checkpoint.text()
    return text + "\n" + _line(who.name, who.key_id, key.sign(text.encode()))


def open_checkpoint(note: str, key: NoteKey) -> Checkpoint:
    """The tree head, if `key` signed it and is named after its origin. Raises CheckpointError."""
    text, signatures = split_note(note)
    checkpoint = Checkpoint.parse(text)
    for name, blob in signatures:
        if name == key.name and blob[:4] == key.key_id:
            try:
                verify_ed25519(key.public, blob[4:], text.encode())
            except InvalidSignature:
                raise CheckpointError(f"the signature of {name} is not valid") from None
            if checkpoint.origin != key.name:
                raise CheckpointError(f"the checkpoint belongs to another log: {checkpoint.origin}")
            return checkpoint
    raise CheckpointError(f"not signed by {key.name}")


def cosign(note: str, name: str, key: Ed25519PrivateKey, *, time_s: int) -> str:
    """Add a co-signature (C2SP tlog-cosignature, v1) to a signed note."""
    text, _ = split_note(note)
    who = NoteKey(name, key.public_key(), TYPE_COSIGNATURE)
    signature = key.sign(f"cosignature/v1\ntime {time_s}\n{text}".encode())
    return note + _line(name, who.key_id, time_s.to_bytes(8, "big") + signature)


def open_cosignatures(note: str, keys: Iterable[NoteKey]) -> list[Cosignature]:
    """The co-signatures of `keys`. Raises CheckpointError if one is present but not valid."""
    text, signatures = split_note(note)
    found = []
    for key in keys:
        for name, blob in signatures:
            if name != key.name or blob[:4] != key.key_id or key.type != TYPE_COSIGNATURE:
                continue
            if len(blob) != 4 + 8 + 64:
                raise CheckpointError(f"the co-signature of {name} has the wrong length")
            time_s = int.from_bytes(blob[4:12], "big")
            try:
                message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
                verify_ed25519(key.public, blob[12:], message)
            except InvalidSignature:
                raise CheckpointError(f"the co-signature of {name} is not valid") from None
            found.append(Cosignature(name, time_s))
    return found
