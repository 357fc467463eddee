"""Signed update bundles that a sync delivered; they stay in the inbox until a person installs one."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.reader import MODELS
from firmware.console.errors import UnitRefusedError
from storage import files
from storage.errors import ExplainedError
from storage.times import utc_text
from sync.documents import Carried, open_kept
from sync.membership import SyncFolder

KIND = "update"
LAID_OUT = f"{KIND}.bundle"
_FILE = re.compile(r"update_([A-Za-z0-9._-]{1,57})\.cbor")


def model_lines() -> Sequence[str]:
    """The installed nets, by file and digest."""
    return [
        f"model {path.name}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}..."
        for path in sorted(MODELS.glob("*.tflite"))
    ]


def bundle_lines(folder: SyncFolder) -> Sequence[str]:
    """A line for each bundle in the inbox; a damaged one is named."""
    lines = []
    for name in _names(folder):
        try:
            bundle = _opened(folder, name)
        except UnitRefusedError as error:
            lines.append(str(error))
            continue
        signed = utc_text(bundle.issued_us, to="day")
        lines.append(f"ready: {name}, {len(bundle.body) / 1e6:.1f} MB, signed {signed}; type: update {name}")
    return lines


@contextlib.contextmanager
def laid_out(folder: SyncFolder, name: str) -> Iterator[Path]:
    """Write a bundle of the inbox to a file, for the length of the `with`. Raises UnitRefusedError."""
    if name not in _names(folder):
        raise UnitRefusedError(f"no sync delivered a bundle {name}; from a medium: update /PATH/OF/BUNDLE")
    path = folder.path / LAID_OUT
    files.replace(path, _opened(folder, name).body)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_left(folder: SyncFolder) -> None:
    """Remove what an installation laid out whose process was killed, or lost power: it takes much room."""
    for name in (LAID_OUT, f"{LAID_OUT}.new"):
        with contextlib.suppress(OSError):
            (folder.path / name).unlink()


def _names(folder: SyncFolder) -> list[str]:
    found = [_FILE.fullmatch(path.name) for path in sorted(folder.inbox.glob(f"{KIND}_*.cbor"))]
    return [match[1] for match in found if match]


def _opened(folder: SyncFolder, name: str) -> Carried:
    member = folder.member()
    try:
        return open_kept(folder.inbox, f"{KIND}/{name}", member)
    except (OSError, ExplainedError) as error:
        raise UnitRefusedError(f"bundle {name} is damaged ({error}): sync again") from None
