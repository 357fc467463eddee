"""Checks that the shipped nets read a known picture, and that the store opens.

No network, no camera, no real plate: the project rendered the picture itself.
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
    """A line for each fault; none if the image reads and its store opens."""
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
    """The plate texts in the output of `reader read`."""
    found = []
    for line in lines.splitlines():
        try:
            held = json.loads(line)
            found += [str(plate["text"]) for plate in held["plates"]]
        except (ValueError, KeyError, TypeError):
            continue
    return found


def opened(report: str) -> bool:
    """Whether the output of `reader status` shows that the store opened.

    Its exit status is not enough: it is 1 if the unit has an alarm, such as without its network or the time,
    and no alarm may prevent an update.
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
    """Print what is wrong; returns 1 if anything is."""
    found = faults()
    for line in found:
        print(f"selfcheck: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
