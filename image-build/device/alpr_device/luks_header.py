"""The JSON area of a LUKS2 header: its keyslots, tokens and segments (LUKS2 on-disk format 1.1.3)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

TPM_TOKEN = "systemd-tpm2"  # noqa: S105 - a token's type
_HEAD = struct.Struct(">6sHQ")
_MAGIC = b"LUKS\xba\xbe"
_JSON_AT, _MOST_BYTES = 4096, 4 << 20


def read_header(path: Path, start: int = 0) -> dict[str, Any]:
    """Read the first header of the volume that begins at byte `start`.

    Raises OSError; ValueError if there is none, or it is damaged.
    """
    with path.open("rb") as file:
        file.seek(start)
        head = file.read(_HEAD.size)
        magic, version, size = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0)
        if magic != _MAGIC or version != 2 or not _JSON_AT < size <= _MOST_BYTES:
            raise ValueError(f"{path}: no LUKS2 header at byte {start}")
        file.seek(start + _JSON_AT)
        text = file.read(size - _JSON_AT).split(b"\0", 1)[0]
    held: dict[str, Any] = json.loads(text)
    return held
