"""Records changes of the unit's system in its log: one record per event of the image's installer.

The installer runs as root and writes each event as a JSON line. The reader, the log's only writer, records
them when it starts. Promise: events are recorded once and in order, and nothing in that file stops the
reader.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from firmware.screen import printable
from storage import codec, files
from storage.audit_records import Update
from storage.errors import StorageError
from storage.ledger import Ledger

EVENTS = Path("/var/lib/alpr-update/events.jsonl")
RECORDED = "system-updates.recorded"
MAX_EVENTS = 512
MAX_BYTES = 512 * 1024


def record_system_updates(ledger: Ledger, home: Path, events: Path = EVENTS) -> int:
    """Append the new events; returns their number. A system without the image's installer has no such file.

    Raises OSError if the file exists but cannot be read, since updates would have no record. Raises
    StoreFullError; events in the log that could not be noted as recorded are then recorded again.
    """
    lines = _lines(events)
    done = _digests(home / RECORDED)
    fresh = [line for line in lines if _digest(line) not in done]
    made = 0
    for line, update in _updates(fresh):
        ledger.append(update)
        made += 1
        done.add(_digest(line))
    if made:
        known = [_digest(line) for line in lines if _digest(line) in done]
        with files.name_full_disk(home):
            files.replace(home / RECORDED, "".join(f"{one}\n" for one in known).encode())
    return made


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]  # without a line that is still being written
    return whole.decode("utf-8", "replace").splitlines()[-MAX_EVENTS:]


def _updates(lines: list[str]) -> Iterator[tuple[str, Update]]:
    for line in lines:
        try:
            held = json.loads(line)
            digest = bytes.fromhex(str(held["digest"])) or bytes(32)
            update = Update(
                what=_text(held["what"], 64),
                from_version=_text(held["from_version"], 40),
                to_version=_text(held["to_version"], 40),
                digest=digest,
                outcome=_text(held["outcome"], 200),
                at_us=int(held["at_us"]),
            )
            codec.to_bytes(update)
        except (StorageError, ValueError, OverflowError, KeyError, TypeError, RecursionError):
            continue  # not an event, or with a time that no record can hold
        if len(digest) == 32 and update.at_us >= 0:
            yield line, update


def _text(value: object, limit: int) -> str:
    """A text for a record; an outcome may quote the name of a file, which need not be text."""
    return printable(str(value))[:limit]


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def _digests(path: Path) -> set[str]:
    try:
        return set(files.read_bounded(path, MAX_BYTES).decode("ascii").split())
    except (OSError, StorageError, UnicodeDecodeError):
        return set()
