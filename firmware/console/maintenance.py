"""Maintenance records of a console session: begun before the first output, and ended in every case."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from typing import Protocol

from storage.audit_records import MaintenanceLine
from storage.codec import to_bytes
from storage.grant_format import Grant
from storage.log_records import GrantTaken

OUTPUT_LIMIT = 64 * 1024
GRANT_LIMIT = 4 * 1024 * 1024  # of output: one grant must not fill the card, which keeps it for years
NOBODY = "-"


class MaintenanceLog(Protocol):
    """Stores the records: `storage.ledger.Ledger`. On return a record is durable."""

    def append(self, record: MaintenanceLine | GrantTaken) -> object:
        """Store one record. Raises what storage raises; then nothing is stored."""


class Recording:
    """Hashes the output of one command, and keeps it up to `limit` bytes."""

    def __init__(self, line: str, *, limit: int) -> None:
        self.line = line
        self._limit = limit
        self._digest = hashlib.sha256()
        self._kept = bytearray()

    def take(self, output: bytes) -> None:
        """Add output that is sent to the person."""
        self._digest.update(output)
        self._kept += output[: self._limit - len(self._kept)]

    @property
    def digest(self) -> bytes:
        """SHA-256 of all output."""
        return self._digest.digest()

    @property
    def kept(self) -> bytes:
        """The output, truncated at the limit."""
        return bytes(self._kept)


class KeptOutput:
    """Limits how much output the log keeps for each grant, and for everything done without one, over all
    sessions and consoles. Thread-safe.
    """

    def __init__(self, logged: Callable[[str], int] = lambda _grant: 0) -> None:
        """logged: how much output of a grant the log already has; called once, at its first output."""
        self._bytes, self._lock = dict[str, int](), threading.Lock()
        self._logged = logged

    def take(self, grant_id: str, output: bytes) -> bytes:
        """The part of this output that the log keeps."""
        with self._lock:
            if grant_id not in self._bytes:
                self._bytes[grant_id] = self._logged(grant_id)
            kept = output[: max(0, GRANT_LIMIT - self._bytes[grant_id])]
            self._bytes[grant_id] += len(kept)
            return kept


class SessionLog:
    """Writes the records of one session. kept: the limit that all sessions share."""

    def __init__(
        self,
        log: MaintenanceLog,
        now_us: Callable[[], int],
        grant: Grant | None,
        kept: KeptOutput,
    ) -> None:
        self._log, self._now_us, self._grant = log, now_us, grant
        self._kept_output = kept
        self.session = secrets.token_hex(8)

    def opened(self, purpose: str) -> None:
        """Log that a person logged in. The department receives the grant in clear, but not what was done with
        it."""
        if self._grant is not None:
            digest = hashlib.sha256(to_bytes(self._grant)).digest()
            self._log.append(GrantTaken(grant_id=self._grant.grant_id, digest=digest, at_us=self._now_us()))
        self._write("begin", "login", purpose)

    def refused(self, reason: str) -> None:
        """Log a refused login or line."""
        self._write("end", "login", f"refused: {reason}"[:200])

    def closed(self, reason: str) -> None:
        """Log the end of the session."""
        self._write("end", "session", reason)

    def begin(self, line: str, *, live: bool) -> Recording:
        """Record that a command begins. Raises what the log raises; then the command must not run.

        Nothing of a live view is kept.
        """
        self._write("begin", line, "begun")
        return Recording(line, limit=0 if live else OUTPUT_LIMIT)

    def end(self, recording: Recording, result: str) -> None:
        """Log how the command ended and what it showed."""
        output = self._kept_output.take(self._grant.grant_id if self._grant else NOBODY, recording.kept)
        self._write("end", recording.line, result[:200], recording.digest, output)

    def _write(self, phase: str, line: str, result: str, digest: bytes = b"", output: bytes = b"") -> None:
        grant = self._grant
        self._log.append(
            MaintenanceLine(
                session=self.session,
                person=grant.person if grant else NOBODY,
                role=str(grant.role) if grant else NOBODY,
                grant=grant.grant_id if grant else NOBODY,
                phase=phase, line=line, result=result, at_us=self._now_us(), output_digest=digest,
                output=output,
            )
        )  # fmt: skip
