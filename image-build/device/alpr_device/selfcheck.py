"""Does this image read? A picture whose text is known, read by the shipped nets; and the store opens.

No network, no camera, no real plate: the picture is the project's own rendering.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PICTURE = Path("/usr/share/alpr/known-plate.jpg")
EXPECTED = Path("/usr/share/alpr/known-plate.txt")
LIMIT_S = 540


def faults(reader: str = "reader", picture: Path = PICTURE, expected: Path = EXPECTED) -> list[str]:
    """What is wrong, a line each; empty: the image reads and its store opens."""
    found = []
    read = _run(reader, "--json", "read", str(picture))
    if read is None or read.returncode:
        found.append(f"the nets do not run: {_last(read)}")
    elif expected.read_text(encoding="ascii").strip() not in texts(read.stdout):
        found.append("the known picture is not read: the models are damaged, or not those of this image")
    status = _run(reader, "--json", "status")
    if status is None or not opened(status.stdout):
        found.append(f"the store does not open: {_last(status)}")
    return found


def texts(lines: str) -> list[str]:
    """The plate texts of what `reader read` printed."""
    found = []
    for line in lines.splitlines():
        try:
            held = json.loads(line)
            found += [str(plate["text"]) for plate in held["plates"]]
        except (ValueError, KeyError, TypeError):
            continue
    return found


def opened(report: str) -> bool:
    """Whether what `reader status` printed is of a store that opened.

    Its exit status says less: it is 1 where the unit has an alarm, as a unit off its network or without the
    time has, and no alarm may keep an update out.
    """
    try:
        return type(json.loads(report)["custody"]["records"]) is int
    except (ValueError, KeyError, TypeError):
        return False


def _run(*words: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(  # noqa: S603 - our own program, no shell
            words, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _last(done: subprocess.CompletedProcess[str] | None) -> str:
    if done is None:
        return "reader does not start, or not in time"
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:160]


def main() -> int:
    """Say what is wrong, if anything."""
    found = faults()
    for line in found:
        print(f"selfcheck: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
