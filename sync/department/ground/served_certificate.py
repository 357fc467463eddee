"""The certificate of a key service or witness, reloaded when another program renews its two files.

Authorities issue certificates for weeks; a server that read its files only once would soon be useless.
"""

from __future__ import annotations

import datetime as dt
import sys
import threading
from pathlib import Path

from cryptography import x509

from sync.department.ground.tls import tls_context
from sync.errors import InvalidInputError, LackingError

LOOK_S = 60.0
NOTICE = dt.timedelta(days=14)
Marks = tuple[tuple[int, int, int], ...]


class ServedCertificate:
    """A certificate chain and its key in two PEM files, and the TLS context that uses them.

    Raises InvalidInputError if the files are not such a pair, and LackingError as `tls_context` does.
    """

    def __init__(self, certificate: Path, key: Path, *, approved: bool = False) -> None:
        self._certificate, self._key, self._approved = certificate, key, approved
        self._seen = self._marks()
        self.context = tls_context(certificate, key, approved=approved)

    def words(self, now: dt.datetime) -> str:
        """When it expires, and what to do if that is near or past; empty if only OpenSSL can read it."""
        try:
            first = x509.load_pem_x509_certificates(self._certificate.read_bytes())[0]
        except (ValueError, OSError):
            return ""
        ends = first.not_valid_after_utc
        said = f"its certificate {'ended' if ends < now else 'ends'} {ends:%Y-%m-%d %H:%M} UTC"
        if ends - now > NOTICE:
            return said
        what = "departments refuse it" if ends < now else "then departments refuse it"
        return f"{said}: {what}; renew {self._certificate}, this program takes it within a minute"

    def take(self) -> str:
        """Use the files as they are now, if they changed. Returns a line that says so, or once what is wrong.

        While the files do not match, nothing changes: one of them is still to come.
        """
        marks = self._marks()
        if marks == self._seen:
            return ""
        self._seen = marks
        try:
            tls_context(self._certificate, self._key, approved=self._approved)
            self.context.load_cert_chain(self._certificate, self._key)
        except (InvalidInputError, LackingError, OSError) as error:  # the files may change during these lines
            what = (error.strerror if isinstance(error, OSError) else None) or str(error)
            return f"the previous certificate stays in use: {what}"
        return f"the renewed certificate is in use; {self.words(dt.datetime.now(dt.UTC))}".rstrip("; ")

    def follow(self) -> None:
        """Check the files every minute until the program ends; lines go to stderr."""
        threading.Thread(target=self._follow, name="certificate", daemon=True).start()

    def _follow(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_S):
            if said := self.take():
                print(said, file=sys.stderr, flush=True)

    def _marks(self) -> Marks:
        marks = []
        for path in (self._certificate, self._key):
            try:
                found = path.stat()
            except OSError:
                marks.append((0, 0, 0))
                continue
            marks.append((found.st_ino, found.st_size, found.st_mtime_ns))
        return tuple(marks)
