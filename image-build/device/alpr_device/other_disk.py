"""Reports another disk with the labels of this unit's partitions: a mark for the alarm, an event. Runs as
root.

python3 -P -m alpr_device.other_disk NAME
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from alpr_device import events
from alpr_device.errors import DeviceError
from alpr_device.image_facts import image_facts

MARK = Path("/run/alpr/other-disk")


def report(name: str, mark: Path = MARK) -> None:
    """Report a disk by its name in /dev. Raises OSError if the mark cannot be written."""
    outcome = f"another disk, {name}, has this unit's labels; nothing on it is used"
    print(f"other-disk: {outcome}", file=sys.stderr)
    mark.write_text(f"{name}\n", encoding="utf-8")
    mark.chmod(0o644)  # the reader is not root
    with contextlib.suppress(DeviceError, OSError):  # without a data partition there is no log
        version = str(image_facts().version)
        events.note(outcome, from_version=version, to_version="", digest="", what="disk")


if __name__ == "__main__":
    report(sys.argv[1])
