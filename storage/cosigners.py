"""Keys that co-sign tree heads (C2SP `tlog-cosignature`): Ed25519 (type 0x04) and ML-DSA-44 (0x06). No I/O.

A co-signature is a note signature line over `timestamp || signature`. What is signed:

    Ed25519    "cosignature/v1\\ntime <t>\\n" and the checkpoint's text
    ML-DSA-44  label "subtree/v1\\n\\0", <len> cosigner name, u64 time, <len> log origin,
               u64 0, u64 size, root

`Witnesses` is the policy of a root file: the witnesses, and how many of them a tree head needs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from storage.checkpoint import KEY_NAME, TYPE_COSIGNATURE, Checkpoint, Cosignature, split_note
from storage.errors import CheckpointError

TYPE_ML_DSA_44 = 0x06
LABEL = b"subtree/v1\n\0"
TIME_BYTES = 8
LENGTHS = {TYPE_COSIGNATURE: (32, 64), TYPE_ML_DSA_44: (1312, 2420)}  # public key, signature; FIPS 204

PrivateCosigner = Ed25519PrivateKey | MLDSA44PrivateKey


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A witness's verifying key: its `name` in notes, the note type, the raw public bytes."""

    name: str
    type: int
    raw: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.raw).digest()[:4]

    def text(self) -> str:
        """The C2SP vkey: name+id+base64(type || key)."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.type]) + self.raw).decode()}"

    @classmethod
    def parse(cls, text: str) -> CosignerKey:
        """Parse a vkey line. Raises CheckpointError."""
        name, _, rest = text.strip().partition("+")
        hexid, _, encoded = rest.partition("+")
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise CheckpointError("the key is not base64") from None
        if not KEY_NAME.fullmatch(name) or not data or data[0] not in LENGTHS:
            raise CheckpointError(
                "not a co-signing key (type 4 or 6) of the form name+id+base64 (C2SP tlog-cosignature)"
            )
        if len(data) != 1 + LENGTHS[data[0]][0]:
            raise CheckpointError("the key has the wrong length for its type")
        key = cls(name, data[0], data[1:])
        if key.key_id.hex() != hexid:
            raise CheckpointError("the key's id does not belong to its name and bytes: a copying error?")
        key._public()
        return key

    @classmethod
    def of(cls, name: str, private: PrivateCosigner) -> CosignerKey:
        """The verifying key of a private one."""
        kind = TYPE_COSIGNATURE if isinstance(private, Ed25519PrivateKey) else TYPE_ML_DSA_44
        return cls(name, kind, private.public_key().public_bytes_raw())

    def _public(self) -> Ed25519PublicKey | MLDSA44PublicKey:
        try:
            if self.type == TYPE_COSIGNATURE:
                return Ed25519PublicKey.from_public_bytes(self.raw)
            return MLDSA44PublicKey.from_public_bytes(self.raw)
        except ValueError:
            raise CheckpointError("the key's bytes are not a public key") from None

    def verify(self, text: str, blob: bytes) -> Cosignature:
        """Check `blob` (time and signature) over a checkpoint's text. Raises CheckpointError."""
        if len(blob) != TIME_BYTES + LENGTHS[self.type][1]:
            raise CheckpointError(f"the co-signature of {self.name} has the wrong length")
        time_s = int.from_bytes(blob[:TIME_BYTES], "big")
        if time_s >= 1 << 63:
            raise CheckpointError(f"the co-signature of {self.name} has no time")
        message = signed_message(self.type, self.name, text, time_s)
        try:
            self._public().verify(blob[TIME_BYTES:], message)
        except InvalidSignature:
            raise CheckpointError(f"the co-signature of {self.name} is not valid") from None
        return Cosignature(self.name, time_s)


def signed_message(kind: int, name: str, text: str, time_s: int) -> bytes:
    """What a co-signature of this type signs. Raises CheckpointError for a text that is not a checkpoint."""
    if kind == TYPE_COSIGNATURE:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    head = Checkpoint.parse(text)
    return b"".join(
        (
            LABEL,
            _opaque(name),
            time_s.to_bytes(8, "big"),
            _opaque(head.origin),
            (0).to_bytes(8, "big"),
            head.size.to_bytes(8, "big"),
            head.root,
        )
    )


def _opaque(text: str) -> bytes:
    """A string of 1 to 255 bytes with its length before it (RFC 8446, 3.4)."""
    data = text.encode()
    if not 1 <= len(data) <= 255:
        raise CheckpointError("a name in a co-signature has 1 to 255 bytes")
    return bytes([len(data)]) + data


def cosignature_line(note: str, name: str, private: PrivateCosigner, *, time_s: int) -> str:
    """The signature line that adds `name`'s co-signature to a signed note."""
    text, _ = split_note(note)
    key = CosignerKey.of(name, private)
    blob = time_s.to_bytes(8, "big") + private.sign(signed_message(key.type, name, text, time_s))
    return f"— {name} {base64.b64encode(key.key_id + blob).decode()}\n"


def cosigned_by(note: str, keys: Iterable[CosignerKey]) -> list[Cosignature]:
    """The co-signatures of `keys`, one per key. Raises CheckpointError if one is not valid."""
    text, signatures = split_note(note)
    found = []
    for key in keys:
        for name, blob in signatures:
            if name == key.name and blob[:4] == key.key_id:
                found.append(key.verify(text, blob[4:]))
                break
    return found


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The witnesses to which a tree head is shown, each with its keys, and how many must co-sign it."""

    keys: tuple[tuple[CosignerKey, ...], ...]
    quorum: int

    def cosignatures(self, note: str) -> list[Cosignature]:
        """One co-signature for each witness that signed, by any of its keys. Raises CheckpointError."""
        each = [cosigned_by(note, keys) for keys in self.keys]
        return [min(found, key=lambda one: one.time_s) for found in each if found]

    def signers(self, note: str) -> tuple[int, ...]:
        """Which of them signed, by their place in `keys`. Raises CheckpointError."""
        return tuple(at for at, keys in enumerate(self.keys) if cosigned_by(note, keys))

    def witnessed(self, note: str) -> Cosignature | None:
        """The co-signature that completes the quorum (in order of time), or None. Raises CheckpointError."""
        found = sorted(self.cosignatures(note), key=lambda one: one.time_s)
        return found[self.quorum - 1] if 0 < self.quorum <= len(found) else None

    def names(self) -> tuple[str, ...]:
        """Each witness's name."""
        return tuple(keys[0].name for keys in self.keys)
