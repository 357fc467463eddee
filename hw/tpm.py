"""A TPM 2.0 through tpm2-pytss, opened for one exchange at a time, so that other programs can use it too."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hw.errors import MissingDriverError

DEFAULT_TCTI = "device:/dev/tpmrm0"


class Tpm:
    """The chip behind a TCTI. `tss`: the library, for its types and errors."""

    def __init__(self, tcti: str) -> None:
        """Load the library. Raises MissingDriverError."""
        os.environ.setdefault("TSS2_LOG", "all+NONE")  # errors are raised, too: log lines only clutter
        try:
            import tpm2_pytss  # noqa: PLC0415 - a driver imports late
        except ImportError as error:
            raise MissingDriverError(
                "tpm2-pytss not found: sudo apt install python3-tpm2-pytss, or install the 'tpm' extra"
            ) from error
        self.tss: Any = tpm2_pytss
        self.tcti = tcti
        self._lock = threading.Lock()

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """An ESAPI context, closed at the end. Raises MissingDriverError if no chip answers."""
        with self._lock:
            try:
                chip = self.tss.ESAPI(self.tcti)
            except self.tss.TSS2_Exception as error:
                raise MissingDriverError(
                    f"no TPM answers at {self.tcti} ({error}): is it switched on, and may this user use it?"
                ) from None
            try:
                yield chip
            finally:
                chip.close()
