"""After a failed check: leaves a slot that was never committed; a committed one stays. Runs as root."""

from __future__ import annotations

import sys

from alpr_device import events
from alpr_device.errors import DeviceError
from alpr_device.image_facts import image_facts
from alpr_device.slots import board_slots, call


def main() -> int:
    """Restart where another slot is the committed one; else say that this unit needs a person."""
    try:
        slots = board_slots()
        slot, committed = slots.running(), slots.committed()  # not next(): an update may wait for its try
        if committed == slot:
            print("fall-back: the committed slot fails its check; nothing to fall back to", file=sys.stderr)
            return 0
        outcome = f"slot {slot} failed its check, back to {committed}"
        print(f"fall-back: {outcome}", file=sys.stderr)
        events.note(
            outcome,
            from_version=str(image_facts().version),
            to_version="",
            digest="",
        )
        call("rauc", "status", "mark-bad")
        call("systemctl", "--no-block", "reboot")
    except (DeviceError, OSError) as error:
        print(f"fall-back: {error}", file=sys.stderr)
        call("systemctl", "--no-block", "reboot")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
