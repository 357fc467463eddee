"""Documents that the department sends and the unit only carries: hot lists, configuration, updates.

The body contains its name and version, so that a list cannot be passed off as another list or as a newer one.
Policy, roster and day keys belong to the ledger, which puts them into force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import codec, envelope, files
from storage.errors import RecordError
from storage.log_records import FileInForce
from sync.membership import Member
from sync.messages import MAX_DOCUMENT_BYTES

AT_THE_UNIT = frozenset({"unit", "parts", "site", "camera.source"})
"""Sections and settings that no configuration sets: who a unit is, what is fitted to it, where it is used."""


def named_at_the_unit(sections: Mapping[str, object]) -> str:
    """The first setting in a configuration that may be set only at the unit, or empty."""
    for section, keys in sections.items():
        for key in keys if isinstance(keys, dict) else ():
            if section in AT_THE_UNIT or f"{section}.{key}" in AT_THE_UNIT:
                return f"{section}.{key}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A signed document's body. `expires_us`: when it stops counting (hot lists); None for never."""

    name: str
    version: int
    unit_id: str
    issued_us: int
    expires_us: int | None
    body: bytes = field(repr=False)

    def check(self) -> None:
        if self.version < 1 or len(self.name) > 64:
            raise RecordError("name or version malformed", where="document")


FRAME_BYTES = 1 << 20  # around a document: its name, its signature, the seal of the card


def inbox_file(name: str) -> str:
    """The name of a document's file in the inbox."""
    return name.replace("/", "_") + ".cbor"


def open_kept(inbox: Path, name: str, member: Member, taken: FileInForce | None = None) -> Carried:
    """Opens the document of this name in a unit's inbox and checks it again. Raises OSError, StorageError.

    taken: the newest of this name in the unit's log, see `demand_current`.
    """
    message = files.read_bounded(inbox / inbox_file(name), MAX_DOCUMENT_BYTES + FRAME_BYTES)
    carried = open_carried(message, name, member.command_public(), member.unit_id)
    demand_current(carried, message, taken)
    return carried


def demand_current(carried: Carried, message: bytes, taken: FileInForce | None) -> None:
    """Raises RecordError for a file older than the log's, or a different one of the same version.

    An old file may have been put back. A newer one was written just before a power cut, ahead of its entry.
    """
    if taken is None or carried.version > taken.version:
        return
    if carried.version < taken.version or hashlib.sha256(message).digest() != taken.digest:
        raise RecordError("is not the version that this unit's log took", where=carried.name, cure="sync now")


def context_of(name: str) -> bytes:
    """The COSE context of a document. Its kind is the name up to the slash."""
    return f"alpr-reader/document/{name.partition('/')[0]}/v1".encode()


def open_carried(message: bytes, name: str, command: Ed25519PublicKey, unit_id: str) -> Carried:
    """The body, if the command key signed it for this unit. Raises StorageError."""
    payload = envelope.open_signed(message, command, context=context_of(name), limit=MAX_DOCUMENT_BYTES)
    carried = codec.from_bytes(Carried, payload, limit=MAX_DOCUMENT_BYTES)
    if carried.name != name:
        raise RecordError(f"is {carried.name}", where=name)
    if carried.unit_id not in {"", unit_id}:
        raise RecordError("is for another unit", where=name)
    return carried
