"""How much memory a process holds now, from /proc."""

from __future__ import annotations

from pathlib import Path


def resident_mb(pid: int | str = "self") -> int:
    """Resident memory of a process in MiB, 0 if it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0
