"""After a failed check, leaves a slot that was never committed; a committed one stays. Runs as root."""

from __future__ import annotations

import sys

from alpr_device import events
from alpr_device.errors import BootSlotError, DeviceError
from alpr_device.image_facts import image_facts
from alpr_device.slots import board_slots, call
from alpr_device.trial import SlotTrials

UNITS = ("alpr-selfcheck.service", "alpr-commit.service")


def why() -> str:
    """Why the check failed: its own message, or the time limit that ended it."""
    units = (f"--unit={unit}" for unit in UNITS)
    try:
        said = call("journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", "--lines=80", *units)
    except BootSlotError as error:
        return f"the journal is not there: {error}"
    lines = [" ".join(line.split()) for line in said.splitlines()]
    told = [line for line in lines if line.startswith(("selfcheck: ", "commit: ")) or "timed out" in line]
    return "; ".join(told[-2:]) or "no reason in the journal"


def main() -> int:
    """Restart if another slot is the committed one; else report that this unit needs a person."""
    try:
        slots = board_slots()
        slot, committed = slots.running(), slots.committed()  # not next(): an update may wait for its turn
        if committed == slot:
            print("fall-back: the committed slot fails its check; nothing to fall back to", file=sys.stderr)
            return 0
        outcome = f"slot {slot} failed its check, back to {committed}: {why()}"
        print(f"fall-back: {outcome}", file=sys.stderr)
        trials = SlotTrials()
        trial = trials.current()
        if trial is not None and trial.slot == slot:
            trials.give_up(trial, outcome)
        else:
            events.note(outcome, from_version=str(image_facts().version), to_version="", digest="")
        call("rauc", "status", "mark-bad")
        call("systemctl", "--no-block", "reboot")
    except (DeviceError, OSError) as error:
        print(f"fall-back: {error}", file=sys.stderr)
        call("systemctl", "--no-block", "reboot")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
