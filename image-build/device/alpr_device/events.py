"""What happened to this unit's system, a JSON line each, until the reader has put it into its log.

The file belongs to root; the reader's account reads it. Promise: a line that was cut off is left out.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from storage import files

EVENTS = Path("/var/lib/alpr-update/events.jsonl")
MAX_LINES, MAX_ATTEMPTS = 400, 100  # the reader takes up 512


def note(  # an update's event as the log's record kind `update` holds it
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

    attempt: nothing was changed. A person who may ask for an update makes any number of these, so they
    push out one another and never what was changed.
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
        os.fchmod(file.fileno(), 0o644)  # whatever the service's umask: the reader is not root
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = "\n" + line  # a power cut ended the line before: it takes no other with it
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _cut_back(path: Path) -> None:
    """Leave room for one more line. The log has the older ones."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    if len(lines) < MAX_LINES:
        return
    attempts = [at for at, line in enumerate(lines) if '"attempt": true' in line]
    dropped = set(attempts[:-MAX_ATTEMPTS])
    kept = [line for at, line in enumerate(lines) if at not in dropped]
    files.replace(path, "".join(kept[-MAX_LINES // 2 :]).encode())
