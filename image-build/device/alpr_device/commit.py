"""Commits the running slot once the self-check has passed and the reader stays up. Runs as root."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from alpr_device import events
from alpr_device.errors import BootSlotError, DeviceError
from alpr_device.image_facts import floor, image_facts, raise_floor
from alpr_device.slots import call, running_slot
from alpr_device.trial import SlotTrials

UNIT = "alpr-reader.service"
WAIT_S = 300.0  # with the tries below, less than TimeoutStartSec of the service
STAYS_S = 10.0
LOOK_S = 2.0
TRIES, BETWEEN_S = 3, 10.0  # RAUC has 25 s to answer on the bus, which may not be enough on a busy machine

Show = Callable[[], dict[str, str]]


def show_reader() -> dict[str, str]:
    """systemd's properties of the reader's service."""
    facts = "ActiveState,SubState,Result,NRestarts,ExecMainStartTimestampMonotonic"
    words = ("systemctl", "show", UNIT, f"--property={facts}")
    return dict(line.split("=", 1) for line in call(*words).splitlines() if "=" in line)


def reader_stays(
    show: Show, *, wait_s: float = WAIT_S, stays_s: float = STAYS_S, look_s: float = LOOK_S
) -> bool:
    """True once the reader has run for a while, or has ended its work with success."""
    until, since = time.monotonic() + wait_s, None
    while time.monotonic() < until:
        now = show()
        if now.get("SubState") == "running":
            since = since or time.monotonic()
            if time.monotonic() - since >= stays_s:
                return True
        elif now.get("SubState") == "dead" and now.get("Result") == "success" and _has_run(now, since):
            return True
        elif now.get("ActiveState") == "failed":
            return False
        elif now.get("SubState") != "dead":
            since = None
        time.sleep(look_s)
    return False


def _has_run(now: dict[str, str], since: float | None) -> bool:
    """Whether it was seen running, or began and ended before the first look."""
    return since is not None or now.get("ExecMainStartTimestampMonotonic", "0") not in {"", "0"}


def mark_good() -> None:
    """Let RAUC commit the running slot. Raises BootSlotError if it does not answer after all tries."""
    for left in reversed(range(TRIES)):
        try:
            call("rauc", "status", "mark-good")
        except BootSlotError as error:
            if not left:
                raise
            print(f"commit: {error}; again in {BETWEEN_S:.0f} s", file=sys.stderr)
            time.sleep(BETWEEN_S)
        else:
            return


def main() -> int:
    """Commit, or exit with 1 (OnFailure= then returns to the committed slot)."""
    try:
        facts, slot, trials = image_facts(), running_slot(), SlotTrials()
        trial = trials.current()
        if trial is not None and trial.slot == slot and trial.version != facts.version:
            said = f"the image says that it is version {facts.version}, its release says {trial.version}"
            print(f"commit: {said}", file=sys.stderr)
            return 1
        if not reader_stays(show_reader):
            print("commit: the reader does not stay up", file=sys.stderr)
            return 1
        known = floor()
        mark_good()
        if facts.version != known:
            older = f", older than version {known}" if facts.version < known else ""
            outcome = f"running in slot {slot}, committed{older}"
            events.note(outcome, from_version="", to_version=str(facts.version), digest="")
            raise_floor(facts.version)  # last, so that after a power cut it is noted twice rather than never
        trials.committed(slot)
    except (DeviceError, OSError, subprocess.SubprocessError) as error:
        print(f"commit: {error}", file=sys.stderr)
        return 1
    print(f"slot {slot} committed, version {facts.version}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
