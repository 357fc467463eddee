"""The firmware's throttling word: from sysfs if the kernel shows it there, else from `vcgencmd`.

The folder is called `soc:firmware` up to the Pi 4 and `soc@107c000000:firmware` on a Pi 5; newer kernels
no longer have the file. Promise: if the word cannot be read, PartFailedError is raised within seconds.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from hw.errors import PartFailedError
from hw.program import run

LIMIT_S = 2.0
FRESH_S = 5.0  # maximum age of an answer of `vcgencmd`: a call costs some 15 ms
_SAID = re.compile(r"throttled=0x([0-9a-fA-F]{1,8})\s*")


class ThrottlingWord:
    """The throttling word of one machine."""

    def __init__(self, sysfs: Path, search_path: str | None) -> None:
        self._file = next(iter(sorted(sysfs.glob("devices/platform/soc*/*:firmware/get_throttled"))), None)
        self._program = shutil.which("vcgencmd", path=search_path)
        self._held: tuple[float, int] | None = None

    @property
    def there(self) -> bool:
        """Whether this machine has a throttling word."""
        return self._file is not None or self._program is not None

    def read(self) -> int | None:
        """The word; None on a machine that has none. Raises PartFailedError."""
        if self._file is not None:
            try:
                return int(self._file.read_text(encoding="ascii")[:16], 16)
            except (OSError, ValueError) as error:
                raise PartFailedError(f"{self._file}: cannot be read ({type(error).__name__})") from error
        if self._program is None:
            return None
        now_s = time.monotonic()
        if self._held is None or now_s - self._held[0] >= FRESH_S:
            self._held = (now_s, self._asked(self._program))
        return self._held[1]

    @staticmethod
    def _asked(program: str) -> int:
        done = run(program, "get_throttled", limit_s=LIMIT_S)
        match = _SAID.fullmatch(done.stdout)
        if match is None:
            raise PartFailedError("vcgencmd gave no throttling word: is this user in the group video?")
        return int(match[1], 16)
