"""The department's signed, versioned files for this unit: enrollment, policy, roster, day keys.

Each file is COSE_Sign1 by the department's command key over its record, in the context
`alpr-reader/document/<name>/v1`. The log keeps the highest version of each; a lower one is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from storage import codec, envelope, files
from storage.audit_records import Configuration
from storage.checkpoint import NoteKey
from storage.day_keys import DayKeys
from storage.errors import LedgerError, OutdatedError, RecordError
from storage.log_records import FileInForce
from storage.policy import CustodyPolicy, parse_custody_policy
from storage.record_base import KeyClass
from storage.roster import Roster, demo_roster
from storage.store import UnitStore

ENROLLMENT, POLICY, ROSTER, DAY_KEYS = "enrolment", "policy", "roster", "day-keys"
MAX_DOCUMENT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitEnrollment:
    """The membership in a department. `command_key`: signs files; `department`: its log's vkey (C2SP)."""

    version: int
    organisation: str
    unit: str
    command_key: bytes
    department: str

    def check(self) -> None:
        NoteKey.parse(self.department)
        if len(self.command_key) != 32:
            raise RecordError("has 32 bytes", where="enrollment.command_key")


DOCUMENTS = frozenset({POLICY, ROSTER, DAY_KEYS})


def parse_document(name: str, document: bytes) -> CustodyPolicy | Roster | DayKeys:
    """Parse a file of the department by its name. Raises EnvelopeError, RecordError."""
    if name == POLICY:
        return parse_custody_policy(document, limit=MAX_DOCUMENT_BYTES)
    kind: type[Roster] | type[DayKeys] = Roster if name == ROSTER else DayKeys
    return codec.from_bytes(kind, document, limit=MAX_DOCUMENT_BYTES)


def context_of(name: str) -> bytes:
    """The COSE context in which the department signs a file of this name."""
    return f"alpr-reader/document/{name}/v1".encode()


class UnitFiles:
    """The signed files in force, opened once."""

    def __init__(self, store: UnitStore) -> None:
        self._store = store
        self.enrollment: UnitEnrollment | None = None
        self.roster = Roster(version=0, demo=True, people=())
        for name in (ENROLLMENT, POLICY, ROSTER, DAY_KEYS):
            entry = store.book.files.get(name)
            if entry is not None:
                self._take(name, self._document(entry))

    def _document(self, entry: FileInForce) -> bytes:
        record = self._store.record(entry.record)
        if not isinstance(record, Configuration) or hashlib.sha256(record.document).digest() != entry.digest:
            raise LedgerError("the file in force is not the one that was logged", where=entry.name)
        return record.document

    def _take(self, name: str, document: bytes) -> None:
        """Load a checked document."""
        store = self._store
        if name == ENROLLMENT:
            self.enrollment = codec.from_bytes(UnitEnrollment, document)
            store.enrolled = True
            self._end_content()
            return
        value = parse_document(name, document)
        if isinstance(value, CustodyPolicy):
            store.policy = value
        elif isinstance(value, Roster):
            self.roster = value
        else:
            first = not store.day_keys
            store.day_keys = value.keys
            if first:
                self._end_content()

    def _end_content(self) -> None:
        """Close the open epochs, so that new content uses keys of the new enrollment or policy."""
        running = [self._store.book.current(one) for one in (KeyClass.READ, KeyClass.HIT)]
        self._store.end_running(facts.epoch for facts in running if facts is not None)

    @property
    def department(self) -> NoteKey | None:
        """The department log's key, once enrolled."""
        return None if self.enrollment is None else NoteKey.parse(self.enrollment.department)

    def version_of(self, name: str) -> int:
        entry = self._store.book.files.get(name)
        return -1 if entry is None else entry.version

    def enroll(self, enrollment: UnitEnrollment) -> None:
        """Join a department; the caller has checked who it is. Raises RecordError, OutdatedError."""
        enrollment.check()
        self._log(ENROLLMENT, enrollment.version, codec.to_bytes(enrollment))
        store = self._store
        self.roster = Roster(version=0, demo=False, people=())  # until the department's roster arrives
        if store.home.people.is_dir():
            files.remove_tree(store.home.people)

    def install(self, name: str, signed: bytes) -> int:
        """Put a signed file in force; returns its version.

        Raises EnvelopeError, SignatureError, RecordError for a file that is not the department's;
        OutdatedError for one that is not newer than the current one.
        """
        if name not in DOCUMENTS or self.enrollment is None:
            raise RecordError("is not a file that this unit accepts", where=name, cure="enroll first")
        public = Ed25519PublicKey.from_public_bytes(self.enrollment.command_key)
        document = envelope.open_signed(signed, public, context=context_of(name), limit=MAX_DOCUMENT_BYTES)
        value = parse_document(name, document)
        if isinstance(value, Roster) and value.demo:
            raise RecordError("is a demo roster", where=name)
        self._log(name, value.version, document)
        return value.version

    def _log(self, name: str, version: int, document: bytes) -> None:
        if version <= self.version_of(name):
            raise OutdatedError(
                f"version {version} is not newer than {self.version_of(name)}, which is in force", where=name
            )
        self._write(name, version, document)
        self._take(name, document)

    def _write(self, name: str, version: int, document: bytes) -> None:
        store = self._store
        digest = hashlib.sha256(document).digest()
        with store.adding():
            record = Configuration(
                name=name, version=version, digest=digest, document=document, at_us=store.time.now().us
            )
            ref = store.add_sealed(record)
            store.add_open(FileInForce(name=name, version=version, digest=digest, record=ref.sequence))

    def carry_over(self, epochs: Iterable[int]) -> None:
        """Log files in force again, under the current audit key, if their epochs are about to be purged.

        A file that the log does not contain (a hot list, a large update) loses nothing: its version and
        digest are an open record, which stays.
        """
        store, going = self._store, set(epochs)
        for entry in list(store.book.files.values()):
            if store.leaf(entry.record).epoch not in going:
                continue
            record = store.record(entry.record)
            if isinstance(record, Configuration) and not record.document:
                continue
            self._write(entry.name, entry.version, self._document(entry))

    def make_demo(self) -> None:
        """Give a new home its demo roster, and its people their key files (0600)."""
        store = self._store
        roster, keys = demo_roster(store.time.now().us)
        files.make_dir(store.home.people)
        for user, key in keys.items():
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            files.write_new(store.home.people / user, pem)
        files.sync_dir(store.home.people)
        self._log(ROSTER, roster.version, codec.to_bytes(roster))
