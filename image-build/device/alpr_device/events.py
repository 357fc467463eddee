"""What happened to this unit's system, a JSON line each, until the reader has put it into its log.

The file belongs to root; the reader's account reads it. Promise: a line that was cut off is left out.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

EVENTS = Path("/var/lib/alpr-update/events.jsonl")
MAX_BYTES = 256 * 1024


def note(  # an update's event as the log's record kind `update` holds it
    outcome: str,
    *,
    from_version: str,
    to_version: str,
    digest: str,
    what: str = "system image",
    path: Path = EVENTS,
) -> None:
    """Append one event, synced. outcome: one line. digest: hex SHA-256 of the bundle, or empty."""
    line = json.dumps(
        {
            "at_us": time.time_ns() // 1000,
            "what": what,
            "from_version": from_version,
            "to_version": to_version,
            "digest": digest,
            "outcome": " ".join(outcome.split())[:200],
        }
    )
    if (
        path.exists() and path.stat().st_size > MAX_BYTES
    ):  # the log holds them; the newest few are enough here
        kept = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-100:]
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(kept), encoding="utf-8")
        fresh.replace(path)
    with path.open("ab+") as file:
        os.fchmod(file.fileno(), 0o644)  # whatever the service's umask: the reader is not root
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = "\n" + line  # a power cut ended the line before: it takes no other with it
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
