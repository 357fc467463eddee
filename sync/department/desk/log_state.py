"""The access log of a desk and the state folded from it. Entries are made only here.

`deciding` is one transaction on the newest state. It signs the entries that need a signature, and if a
rolled-back entry reached the book, it reads the book again before another thread decides on it. The book
changes only under the log's lock; code that iterates over a part of it outside of a decision does so in
`looking`.
"""

from __future__ import annotations

import contextlib
import hmac
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import sealing
from storage.codec import from_bytes, to_bytes
from storage.errors import CheckpointError, StorageError
from storage.times import now_us
from sync.department.desk import snapshot
from sync.department.desk.people.kept_failures import KeptFailures
from sync.department.desk.people.new_secrets import NewSecrets
from sync.department.desk.people.rules import Credential
from sync.department.desk.people.throttle import LogonThrottle
from sync.department.desk.state import DeskState
from sync.department.desk.used_calls import UsedCalls
from sync.department.ground.department_time import DepartmentTime
from sync.department.journal.access_log import AccessLog
from sync.department.journal.credential_key import credential_key, demand_credential_key
from sync.department.journal.entries import (
    ISSUED,
    STATE_KINDS,
    AccountSet,
    CredentialSet,
    Entry,
    EntryOf,
    LockoutLifted,
    RootSet,
    SessionEnded,
)
from sync.department.journal.entry_base import SYSTEM, Note, Stamp
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.made_by import MADE, SIGNED_LATE
from sync.department.journal.malformed import unread_is_unsigned
from sync.department.journal.passkeys import PasskeySet
from sync.department.journal.person_entries import PersonKeySet, SessionKeySet
from sync.department.journal.second_hands import DECISIONS, WAITS_US
from sync.department.journal.signed_forms import Waiting, fits_access, waiting_of
from sync.department.journal.statements import USED, Statement, offered
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import checked_policy
from sync.department.policy.refusals import FormError, NotYetError
from sync.errors import HomeError
from sync.root_file import LOG, Root, describe

FOLDER = "desk"
LOG_ON = "log in again; if a clock is wrong, the administrator sets it: Compliance says which"
AGAIN = "send it again; if that does not help, have what it depends on proposed or entered again"
SIGNED = (Access, AccountSet, CredentialSet, PasskeySet, *typing.get_args(DECISIONS), *MADE)
"""What is signed, by the statement of its call."""


class _Named:
    """Looks up what a signed form names only by number, as the key service knows it."""

    def __init__(self, book: DeskState, at_us: int) -> None:
        self._book, self._at_us = book, at_us

    def asked(self, number: int) -> Waiting | None:
        """A request or a proposal that is not too old."""
        queue = self._book.queue
        entry = queue.asked.get(number) or queue.proposed.get(number)
        if entry is None or self._at_us - entry.stamp.at_us >= WAITS_US:
            return None
        return waiting_of(entry.note, entry.stamp)

    def alert(self, name: str) -> tuple[str, str]:
        """(an alert's record, its read), by its number or by the record."""
        row = self._book.alerts.find(name)
        return (row.known.record or row.known.alert, row.known.read) if row else ("", "")


class LogState:
    """The log of one department's desk, and the book that is folded from it."""

    def __init__(self, home: Path, key: Ed25519PrivateKey, *, clock: Callable[[], int] = now_us) -> None:
        """Open the log. Raises HomeError, StorageError for a changed log, NewerError for a newer version's
        log."""
        self.log = AccessLog(home / FOLDER, key)
        self.log.on_undone = self.read_again
        self._snapshot_at, self._undone = 0, False
        self._clock = clock
        self.new_secrets = NewSecrets()
        self._used_calls = UsedCalls(self.log)
        self.throttle = LogonThrottle(
            lambda: KeptFailures(self.log.folder, self.secret_of(b"failed logons", ""))
        )
        try:
            self.log.demand_known()
            self.book = self.kept_book()
            self.refresh()
            demand_credential_key(self.log)
            self._demand_rooted(home)
        except BaseException:
            self.log.close()
            raise

    def _demand_rooted(self, home: Path) -> None:
        named = self.root.other(LOG)
        if named is not None and named != self.log.public.public_bytes_raw():
            raise HomeError("the log key is not the one that the root file names", where=str(home))

    @contextlib.contextmanager
    def looking(self) -> Iterator[DeskState]:
        """Use the book while no other thread adds entries."""
        with self.log.paused():
            yield self.book

    def refresh(self) -> None:
        """Take in entries that other processes appended."""
        with self.log.paused():
            book = self.kept_book() if self._undone else self.book
            size = self.log.size()
            if size > book.seen:
                for entry in self.log.entries(book.seen, size, STATE_KINDS):
                    book.apply(entry)
                book.seen = size
            self.book, self._undone = book, False
            if size - self._snapshot_at >= max(snapshot.EVERY, size // 200) and not self.log.unsettled:
                self._snapshot_at = size
                # a full disk: the entries are stored, and will be folded again
                with contextlib.suppress(OSError):
                    snapshot.write(self.log, book)

    def read_again(self) -> None:
        """Rebuild the book, which has entries that were rolled back. If that fails, the next call does it."""
        self._used_calls.forget()
        self._undone = True
        self.refresh()

    def kept_book(self) -> DeskState:
        """The book of the newest snapshot, or an empty one."""
        book = snapshot.read(self.log) or DeskState()
        self._snapshot_at = book.seen
        return book

    @property
    def policy(self) -> Policy:
        return self.book.policy

    @property
    def policy_document(self) -> bytes:
        """The current policy file, unchanged."""
        return self.book.document

    @property
    def root(self) -> Root:
        if self.book.root is None:
            raise CheckpointError("no root file is in force")
        return self.book.root

    def now_us(self) -> int:
        return self._clock()

    def phone_times(self) -> tuple[int, ...]:
        """The times that a person's phone may show.

        They are the system clock's, the department's own, and the last confirmed time plus what has elapsed.
        People must be able to log in to correct a clock.
        """
        clock, now_us = self._clock, self._clock()
        if not isinstance(clock, DepartmentTime):
            return (now_us,)
        run_on_us = clock.run_on_us()
        return (clock.wall_us(), now_us) if run_on_us is None else (clock.wall_us(), now_us, run_on_us)

    def access(self, sequence: int) -> Access:
        """The access of an entry. Raises FormError if there is none."""
        note = self.log.entry(sequence).note if 0 <= sequence < self.log.size() else None
        if not isinstance(note, Access):
            raise FormError("there is no such access", code="no-access", clause="463.5 (b)")
        return note

    def add(self, note: Note, stamp: Stamp) -> Entry:
        if isinstance(note, LockoutLifted | CredentialSet):
            self.throttle.lift(note.user)
        signed = self._signed(note, stamp)
        entry = self.log.append(note, stamp, signed)
        self.book.apply(entry)
        return entry

    def _signed(self, note: Note, stamp: Stamp) -> bytes:
        """The statement of the call under way, if the entry needs one. Raises NotYetError."""
        unlocks = isinstance(note, SessionEnded) and note.certificate
        if not unlocks and not isinstance(note, (*SIGNED, PersonKeySet, SessionKeySet)):
            return b""
        signed = offered() if isinstance(note, SIGNED) else b""
        signers, cure = self.book.signers, LOG_ON
        if not signed and isinstance(note, SIGNED_LATE):
            cure = "update `department` on this workstation: an older one does not sign this call"
        try:
            entry = EntryOf(self.log.size(), stamp, note, signed)
            if isinstance(note, MADE):
                with unread_is_unsigned(signed):
                    said = signers.demand_made(entry)
                    if said is not None:
                        signers.demand_unused(note, said)
            elif not isinstance(note, Access):
                with unread_is_unsigned(signed):
                    signers.check(entry)
            elif signers.ever:
                with unread_is_unsigned(signed):
                    said = signers.demand_signed(entry)
                self._used_calls.demand_new(entry)
                cure = AGAIN
                with unread_is_unsigned(signed):
                    self._demand_fitting(entry, note, said)
        except UnsignedError as error:
            if error.what == USED:
                raise NotYetError(
                    "this was sent before, and its entry is in the log",
                    code="sent-before",
                    clause="463.5 (b)",
                    cure="see what came of it, then send it again",
                ) from None
            raise NotYetError(
                f"this entry would not be proven to be {stamp.user}'s: {error}",
                code="unsigned",
                clause="463.5 (b)",
                cure=cure,
            ) from None
        return signed

    def _demand_fitting(self, entry: Entry, note: Access, said: Statement) -> None:
        """Check that an access fits its signed call.

        Otherwise it would be entered and open nothing, and `verify` would report it forever. Raises
        UnsignedError.
        """
        if not fits_access(said, note, _Named(self.book, entry.stamp.at_us)):
            raise UnsignedError("the signed call does not match")
        self.book.signers.second.demand_access(said, entry, note)

    def stamp_of(self, account: AccountSet | None, at_us: int, session: bytes) -> Stamp:
        return Stamp(
            at_us=at_us,
            user=account.user if account else "",
            role=account.roles[0].value if account and account.roles else "",
            organisation=account.organisation if account else "",
            session=session,
            demo=self.root.demo,
        )

    def system(self, *notes: Note) -> list[Entry]:
        """Make entries that no person makes: a purge, the witness's absence, the ceremony of init."""
        with self.deciding() as moment:
            stamp = system_stamp(self.root, moment.at_us)
            return [self.add(note, stamp) for note in notes]

    def deciding(self) -> Deciding:
        return Deciding(self)

    def set_root(self, root_file: bytes, policy_document: bytes) -> Root:
        """Put a new root file in force: signed by 2 of 3 keys, a higher version, with its policy. Raises
        StorageError."""
        with self.deciding() as moment:
            trial = DeskState(root=self.book.root, rules=self.book.rules)
            entry = self._root_candidate(root_file, policy_document)
            trial.apply(EntryOf(self.log.size(), system_stamp(self.root, moment.at_us), entry))
            self.add(entry, system_stamp(self.root, moment.at_us))
        return self.root

    def _root_candidate(self, root_file: bytes, policy_document: bytes) -> RootSet:
        root, _ = describe(root_file)
        return root_entry(root, root_file, checked_policy(root, policy_document), policy_document)

    def set_credential(self, credential: Credential, stamp: Stamp, *, authenticator: str = ISSUED) -> None:
        """Keep a credential sealed beside the log, with its digest in the log. `authenticator`: the entry's
        value."""
        key = credential_key(self.log)
        with self.deciding() as moment:
            self.log.put_credential(
                credential.user, sealing.wrap(key, self.log.log_id, 0, credential.user, to_bytes(credential))
            )
            note = CredentialSet(
                user=credential.user,
                digest=credential.digest(),
                first=credential.first,
                authenticator=authenticator,
            )
            self.add(note, replace(stamp, at_us=moment.at_us))

    def credential(self, user: str) -> Credential | None:
        """The credential that the log vouches for; None if it was swapped or never set."""
        known, stored = self.book.roster.credentials.get(user), self.log.credential(user)
        if known is None or stored is None:
            return None
        try:
            plain = sealing.unwrap(credential_key(self.log), self.log.log_id, 0, user, stored)
            credential = from_bytes(Credential, plain)
        except StorageError:
            return None
        return credential if credential.digest() == known.digest else None

    def secret_of(self, use: bytes, text: str) -> bytes:
        """32 bytes that stay the same for a use and a text, and that no one else can compute."""
        return hmac.digest(credential_key(self.log), use + b"\x00" + text.encode(), "sha256")


class Deciding:
    """A write transaction on the newest state."""

    def __init__(self, state: LogState) -> None:
        self._state = state
        self._transaction = state.log.writing()
        self.at_us = 0

    def __enter__(self) -> Deciding:
        self._transaction.__enter__()
        try:
            self._state.refresh()
        except BaseException:
            self._transaction.__exit__(*sys.exc_info())
            raise
        self.at_us = max(self._state.now_us(), self._state.log.newest_us())
        return self

    def __exit__(self, *details: Any) -> bool | None:
        return self._transaction.__exit__(*details)


def system_stamp(root: Root, at_us: int) -> Stamp:
    return Stamp(
        at_us=at_us, user=SYSTEM, role=SYSTEM, organisation=root.department, session=b"", demo=root.demo
    )


def root_entry(root: Root, root_file: bytes, policy: Policy, document: bytes) -> RootSet:
    return RootSet(
        version=root.version,
        root_digest=root.digest(),
        root_file=root_file,
        policy_version=policy.version,
        policy_digest=root.policy_digest,
        policy_file=document,
    )
