"""The events of this unit's system, as JSON lines, until the reader has recorded them in its log.

The file belongs to root; the reader's account reads it. Promise: a truncated line is left out.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from storage import files

EVENTS = Path("/var/lib/alpr-update/events.jsonl")
MAX_LINES, MAX_ATTEMPTS = 400, 100  # the reader reads up to 512


def note(  # with the fields of the log's record kind `update`
    outcome: str,
    *,
    from_version: str,
    to_version: str,
    digest: str,
    what: str = "system image",
    attempt: bool = False,
    path: Path = EVENTS,
) -> None:
    """Append one event, synced. outcome: one line. digest: hex SHA-256 of the bundle, or empty.

    attempt: nothing was changed. Anyone who may ask for an update can cause any number of these, so they only
    displace each other, never changes.
    """
    line = json.dumps(
        {
            "at_us": time.time_ns() // 1000,
            "what": what,
            "from_version": from_version,
            "to_version": to_version,
            "digest": digest,
            "outcome": " ".join(outcome.split())[:200],
            **({"attempt": True} if attempt else {}),
        }
    )
    _cut_back(path)
    with path.open("ab+") as file:
        os.fchmod(file.fileno(), 0o644)  # whatever the service's umask, since the reader is not root
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = "\n" + line  # a power cut truncated the previous line: do not append to it
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _cut_back(path: Path) -> None:
    """Remove the oldest lines, which the log has, to make room for another one."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    if len(lines) < MAX_LINES:
        return
    attempts = [at for at, line in enumerate(lines) if '"attempt": true' in line]
    dropped = set(attempts[:-MAX_ATTEMPTS])
    kept = [line for at, line in enumerate(lines) if at not in dropped]
    files.replace(path, "".join(kept[-MAX_LINES // 2 :]).encode())
