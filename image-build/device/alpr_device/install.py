"""`alpr-update@.service`: check an update file, hand its bundle to RAUC, say how it went. Runs as root.

python3 -P -m alpr_device.install FILE
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
from pathlib import Path

from alpr_device import events
from alpr_device.errors import DeviceError, UpdateRefusedError
from alpr_device.image_facts import floor, image_facts
from alpr_device.release import BUNDLE, ReleaseTrust, Running, SystemRelease, copied_bundle
from alpr_device.slots import board_slots

TRUST = Path("/usr/share/alpr/release-keys.txt")
FOLDER = Path("/var/lib/alpr-update")
RESULT = Path("/run/alpr-update/result")
INSTALL_LIMIT_S = 840
_PROGRESS = re.compile(r"\d{1,3} ?%")


def install(
    source: Path,
    *,
    folder: Path = FOLDER,
    trust: Path = TRUST,
    rauc: str = "rauc",
    running: Running | None = None,
) -> SystemRelease:
    """Install into the slot that does not run. Raises UpdateRefusedError, DeviceError; each is an event."""
    now = running or this_unit()
    bundle = folder / BUNDLE
    release: SystemRelease | None = None
    try:
        with source.open("rb") as file, bundle.open("wb") as target:
            release = copied_bundle(file, target, ReleaseTrust.parse(trust.read_text(encoding="utf-8")), now)
        _hand_over(rauc, bundle)
    except OSError as error:
        failed = DeviceError(f"{error.filename or folder}: {error.strerror}")
        _note_if_room(folder, f"not installed: {failed}", now, release)
        raise failed from None
    except DeviceError as error:
        _note_if_room(folder, f"refused: {error}", now, release)
        raise
    finally:
        bundle.unlink(missing_ok=True)
    _note(folder, "installed", now, release)
    return release


def this_unit() -> Running:
    """What runs here. Raises DeviceError."""
    facts, slots = image_facts(), board_slots()
    on_trial = slots.running() != slots.committed()
    return Running(board=facts.board, version=facts.version, floor=floor(), on_trial=on_trial)


def _hand_over(rauc: str, bundle: Path) -> None:
    """RAUC checks the bundle's signature, its board and every block that it writes."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell
            [rauc, "install", str(bundle)],
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"rauc: {error}") from None
    if done.returncode:
        raise UpdateRefusedError(f"rauc: {reason(done.stdout + done.stderr)}")


def reason(said: str) -> str:
    """Why RAUC did not install, of all that it said. " 10% Verifying signature" is progress, no reason."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    reasons = [line for line in lines if line and not _PROGRESS.match(line)]
    for words in ("LastError", "ignature", "rror", "ailed"):
        for line in reasons:
            if words in line:
                return line[:160]
    return "no reason given"


def _note(folder: Path, outcome: str, now: Running, release: SystemRelease | None) -> None:
    events.note(
        outcome,
        from_version=str(now.version),
        to_version="" if release is None else str(release.version),
        digest="" if release is None else release.bundle_digest,
        path=folder / events.EVENTS.name,
    )


def _note_if_room(folder: Path, outcome: str, now: Running, release: SystemRelease | None) -> None:
    """A disk that is full, which may be why, must not hide what went wrong from the person who asked."""
    (folder / BUNDLE).unlink(missing_ok=True)  # it takes the most of the room
    with contextlib.suppress(OSError):
        _note(folder, outcome, now, release)


def main() -> int:
    """Install and say so; the last line of RESULT is what the console shows."""
    parser = argparse.ArgumentParser(prog="alpr-update", description=__doc__)
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    try:
        release = install(args.file)
        status, line = (
            0,
            f"installed {release.name} (version {release.version}); it is tried at the next restart",
        )
    except UpdateRefusedError as error:
        status, line = 1, f"refused: {error}"
    except DeviceError as error:
        status, line = 1, f"not installed: {error}"
    print(line, file=sys.stderr)
    write_result(line)
    return status


def write_result(line: str, path: Path = RESULT) -> None:
    """One line for the caller: the reader's account, which is not root and shows it at the console."""
    path.write_text(line + "\n", encoding="utf-8")
    path.chmod(0o644)


if __name__ == "__main__":
    sys.exit(main())
