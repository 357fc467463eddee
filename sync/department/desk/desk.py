"""The one door: who asks, whether they may, the entry, the witness - in this order, for every call.

`Desk.act` is one transaction: newest state, session (open, not locked), role, training where the call touches
data, then the call's own decision, then its entries. A refusal is an entry too. `Desk.covered` has the entry
co-signed before anything leaves: marked answers for the policy's grace at most while the witness is away,
none where the witness refuses.
"""

from __future__ import annotations

import contextlib
import hmac
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import sealing
from storage.codec import from_bytes, to_bytes
from storage.errors import CheckpointError, ForkedLogError, RecordError, StorageError
from storage.times import MINUTE_US, now_us
from sync.department.content.key_guard import Cover
from sync.department.desk import sessions, snapshot
from sync.department.desk.grants.rules import demand_grant
from sync.department.desk.logon_forms import Begun
from sync.department.desk.people import rules as people
from sync.department.desk.people.challenges import Challenges, Site
from sync.department.desk.people.keys import Proven, certified, prove, scheme_of
from sync.department.desk.people.rules import Credential
from sync.department.desk.people.throttle import LogonThrottle
from sync.department.desk.people.training import demand_current
from sync.department.desk.sessions import Session
from sync.department.desk.state import Book, checked_policy
from sync.department.ground.person_key import SALT_BYTES, SessionToken
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entries import (
    STATE_KINDS,
    Access,
    AccountSet,
    CredentialSet,
    Entry,
    LockoutLifted,
    Logon,
    LogOpened,
    Refused,
    RootSet,
    SessionEnded,
    WitnessAway,
)
from sync.department.journal.entry_base import SYSTEM, Note, Stamp
from sync.department.journal.marking import mark_unwitnessed
from sync.department.journal.passkeys import PasskeySet, challenge_of, passkey_certificate
from sync.department.journal.person_entries import PersonKeySet, SessionKeySet
from sync.department.journal.publisher import Publisher, WitnessLinks
from sync.department.journal.signers import UnsignedError
from sync.department.journal.statements import SESSION, certify, offered
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, NotProvenError, NotYetError
from sync.department.policy.roles import CALLS, STAFFS_POSTS, Call, Role, allowing_role
from sync.errors import HomeError, LinkError
from sync.root_file import Root, describe, open_first

FOLDER = "desk"
CREDENTIAL_KEY = 0  # beside the audit keys: seals credential records
SIGNED = Access | AccountSet | CredentialSet | PasskeySet  # by the statement of the call that made them
T = TypeVar("T")
Plan: TypeAlias = tuple[Sequence[Note], Callable[[list[Entry]], T]]
"""What a call decided: the notes to enter, and what to make of their entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A proven person making one call: which of their roles allows it, when."""

    user: str
    role: Role
    roles: tuple[Role, ...]
    organisation: str
    session: bytes
    at_us: int
    demo: bool

    def stamp(self) -> Stamp:
        return Stamp(
            at_us=self.at_us,
            user=self.user,
            role=self.role.value,
            organisation=self.organisation,
            session=self.session,
            demo=self.demo,
        )


class Desk:
    """One department's desk over its access log."""

    def __init__(
        self, home: Path, key: Ed25519PrivateKey, links: WitnessLinks, *, clock: Callable[[], int] = now_us
    ) -> None:
        """Open the desk of a home made by `create`. Raises HomeError, StorageError for a log that was
        changed."""
        self.log = AccessLog(home / FOLDER, key)
        self._snapshot_at = 0
        self.book = self._kept_book()
        self._links = links
        self._publisher = Publisher(self.log, home / FOLDER)
        self._clock = clock
        self._throttle = LogonThrottle()
        self.challenges = Challenges()
        self.site = Site(rp_id="localhost", origin="https://localhost")
        try:
            self.refresh()
            self._demand_rooted(home)
        except BaseException:
            self.close()
            raise

    def _demand_rooted(self, home: Path) -> None:
        named = self.root.other("log")
        if named is not None and named != self.log.public.public_bytes_raw():
            raise HomeError("the log key is not the one that the root file names", where=str(home))

    @classmethod
    def create(
        cls,
        home: Path,
        key: Ed25519PrivateKey,
        links: WitnessLinks,
        *,
        root_file: bytes,
        policy_document: bytes,
        clock: Callable[[], int] = now_us,
    ) -> Desk:
        """A new log whose first entries are its key and the root file. Raises as the checks of both."""
        root = open_first(root_file, _digest_of(root_file))
        policy = checked_policy(root, policy_document)
        AccessLog.create(home / FOLDER, key).close()
        log = AccessLog(home / FOLDER, key)
        stamp = _system_stamp(root, clock())
        with log.writing():
            log.append(
                LogOpened(public_key=key.public_key().public_bytes_raw(), root_digest=root.digest()), stamp
            )
            log.append(_root_entry(root, root_file, policy, policy_document), stamp)
        log.close()
        return cls(home, key, links, clock=clock)

    def close(self) -> None:
        self._publisher.close()
        self._links.close()
        self.log.close()

    # state ------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what other processes appended."""
        size = self.log.size()
        if size > self.book.seen:
            for entry in self.log.entries(self.book.seen, size, STATE_KINDS):
                self.book.apply(entry)
            self.book.seen = size
        if size - self._snapshot_at >= max(snapshot.EVERY, size // 10):
            self._snapshot_at = size
            with contextlib.suppress(OSError):  # a full disk: the entries are there, and are folded again
                snapshot.write(self.log, self.book)

    def _kept_book(self) -> Book:
        """The book of the newest snapshot, or an empty one."""
        book = snapshot.read(self.log) or Book()
        self._snapshot_at = book.seen
        return book

    @property
    def policy(self) -> Policy:
        return self.book.policy

    @property
    def policy_document(self) -> bytes:
        """The policy file in force, as it lies."""
        return self.book.document

    @property
    def root(self) -> Root:
        if self.book.root is None:
            raise CheckpointError("no root file is in force")
        return self.book.root

    def now_us(self) -> int:
        return self._clock()

    def access(self, sequence: int) -> Access:
        """The access of an entry. Raises FormError where there is none."""
        note = self.log.entry(sequence).note if 0 <= sequence < self.log.size() else None
        if not isinstance(note, Access):
            raise FormError("there is no such access", code="no-access", clause="463.5 (b)")
        return note

    def _add(self, note: Note, stamp: Stamp) -> Entry:
        if isinstance(note, LockoutLifted):
            self._throttle.lift(note.user)
        signed = self._signed(note, stamp)
        entry = self.log.append(note, stamp, signed)
        self.book.apply(entry)
        return entry

    def _signed(self, note: Note, stamp: Stamp) -> bytes:
        """The statement of the call under way, for an entry that needs one. Raises NotYetError."""
        if not isinstance(note, SIGNED | PersonKeySet | SessionKeySet):
            return b""
        signed = offered() if isinstance(note, SIGNED) else b""
        signers = self.book.signers
        try:
            entry = Entry(self.log.size(), stamp, note, signed)
            if not isinstance(note, Access):
                signers.check(entry)
            elif signers.ever:
                signers.demand_signed(entry)
        except UnsignedError as error:
            raise NotYetError(
                f"this entry would not be proven to be {stamp.user}'s: {error}",
                code="unsigned",
                clause="463.5 (b)",
                cure="log on again; is this machine's clock right?",
            ) from None
        return signed

    def system(self, *notes: Note) -> list[Entry]:
        """Entries that no person makes: a purge, the witness's absence, the ceremony of init."""
        with self._deciding() as moment:
            stamp = _system_stamp(self.root, moment.at_us)
            return [self._add(note, stamp) for note in notes]

    def _deciding(self) -> _Deciding:
        return _Deciding(self)

    def set_root(self, root_file: bytes, policy_document: bytes) -> Root:
        """Put a new root file in force: 2 of 3 keys, a higher version, its policy. Raises StorageError
        kinds."""
        with self._deciding() as moment:
            trial = Book(root=self.book.root, rules=self.book.rules)
            entry = self._root_candidate(root_file, policy_document)
            trial.apply(Entry(self.log.size(), _system_stamp(self.root, moment.at_us), entry))
            self._add(entry, _system_stamp(self.root, moment.at_us))
        return self.root

    def _root_candidate(self, root_file: bytes, policy_document: bytes) -> RootSet:
        root, _ = describe(root_file)
        return _root_entry(root, root_file, checked_policy(root, policy_document), policy_document)

    # logging on -------------------------------------------------------------------------------------------

    def set_credential(self, credential: Credential, stamp: Stamp) -> None:
        """Keep a credential: sealed beside the log, its digest in it."""
        key = self.log.keys.of(CREDENTIAL_KEY, make=True)
        with self._deciding() as moment:
            self.log.put_credential(
                credential.user, sealing.wrap(key, self.log.log_id, 0, credential.user, to_bytes(credential))
            )
            note = CredentialSet(user=credential.user, digest=credential.digest(), first=credential.first)
            self._add(note, replace(stamp, at_us=moment.at_us))

    def credential(self, user: str) -> Credential | None:
        """The credential that the log vouches for, else None: swapped, or never set."""
        known, stored = self.book.roster.credentials.get(user), self.log.credential(user)
        if known is None or stored is None:
            return None
        try:
            plain = sealing.unwrap(self.log.keys.of(CREDENTIAL_KEY), self.log.log_id, 0, user, stored)
            credential = from_bytes(Credential, plain)
        except StorageError:
            return None
        return credential if credential.digest() == known.digest else None

    def logon(self, user: str, password: str, code: str, *, post: str = "", address: str = "") -> str:
        """A session's token. Raises LockedError, TooManyError, NotProvenError.

        `address`: where the logon comes from; failures count for the name from there.
        """
        proven = self._proven(user, password, address)
        session = Ed25519PrivateKey.generate() if proven.key is not None else None
        given = SessionToken(secret=sessions.new_token(), key=session, department=self.log.log_id, user=user)

        def certificate(at_us: int) -> bytes:
            if proven.key is None or session is None:
                return b""
            return certify(proven.key, self.log.log_id, user, SESSION, session.public_key(), at_us)

        self._open(user, proven, code, post, address, given.secret, certificate)
        return given.text()

    def begin(self, user: str) -> Begun:
        """What a client makes a person's key with. A name that nobody has gets a salt that stays the same."""
        with self._deciding() as moment:
            known, terms = self.book.signers.keys.get(user), self.policy.security
            fixed = self.secret_of(b"salt", user)[:SALT_BYTES]
            return Begun(
                department=self.log.log_id,
                salt=known.salt if known else fixed,
                scheme=known.scheme if known else scheme_of(terms),
                now_us=moment.at_us,
            )

    def logon_signed(
        self, user: str, certificate: bytes, code: str, *, post: str = "", address: str = ""
    ) -> str:
        """The same for a session's key that the person's key certified elsewhere: no password comes here."""
        proven = self._certified(user, certificate, address)
        secret = sessions.new_token()
        self._open(user, proven, code, post, address, secret, lambda _at_us: certificate)
        return secret

    def secret_of(self, use: bytes, text: str) -> bytes:
        """32 bytes that stay the same and that nobody else can make."""
        return hmac.digest(
            self.log.keys.of(CREDENTIAL_KEY, make=True), use + b"\x00" + text.encode(), "sha256"
        )

    def logon_passkey(self, answer: str, *, post: str = "", address: str = "") -> str:
        """A session's token for an authenticator's answer to `begin_passkey`. Raises as `logon`."""
        self._throttle.demand_pace(address, self.now_us())
        try:
            challenge = challenge_of(answer)
        except RecordError as error:
            raise FormError(str(error), code="passkey", clause="CJIS IA-2") from None
        waiting = self.challenges.take(challenge, self.now_us())
        user, message = waiting.user, passkey_certificate(waiting.certificate, answer)
        self._throttle.demand_open(self.policy.sessions, address, user, self.now_us())
        given = SessionToken(
            secret=sessions.new_token(), key=waiting.key, department=self.log.log_id, user=user
        )
        proven = Proven(matches=self._signed_by_passkey(user, message), passkey=True)
        self._open(user, proven, "", post, address, given.secret, lambda _at_us: message)
        return given.text()

    def _signed_by_passkey(self, user: str, message: bytes) -> bool:
        """Whether a passkey of this person certified the session's key."""
        with self._deciding() as moment:
            account = self.book.roster.accounts.get(user)
            note = SessionKeySet(session=bytes(32), user=user, certificate=message)
            try:
                self.book.signers.check(
                    Entry(self.log.size(), self._stamp_of(account, moment.at_us, b""), note)
                )
            except UnsignedError:
                return False
        return True

    def _proven(self, user: str, password: str, address: str) -> Proven:
        """What a password proves. Costs its hash, outside of any transaction."""
        self._throttle.demand_pace(address, self.now_us())
        self._throttle.demand_open(self.policy.sessions, address, user, self.now_us())
        with self._deciding():
            credential, known = self.credential(user), self.book.signers.keys.get(user)
            terms = self.policy.security
        return prove(terms, self.log.log_id, user, credential, known, password)

    def _certified(self, user: str, certificate: bytes, address: str) -> Proven:
        """What a certificate proves."""
        self._throttle.demand_pace(address, self.now_us())
        self._throttle.demand_open(self.policy.sessions, address, user, self.now_us())
        with self._deciding() as moment:
            known = self.book.signers.keys.get(user)
            return Proven(matches=certified(known, self.log.log_id, user, certificate, moment.at_us))

    def _open(  # noqa: PLR0917 - what a logon sends
        self,
        user: str,
        proven: Proven,
        code: str,
        post: str,
        address: str,
        secret: str,
        certificate: Callable[[int], bytes],
    ) -> None:
        """Enter a logon, with the keys that it brings. Raises NotProvenError."""
        with self._deciding() as moment:
            credential = self.credential(user)
            if proven.passkey:
                used = self.book.roster.used_steps.get(user, -1)
                reason, step = ("" if proven.matches and credential is not None else "passkey"), used
            else:
                reason, step = self._prove(user, credential, proven.matches, code, moment.at_us)
            account = self.book.roster.accounts.get(user)
            if not reason and (account is None or not account.active):
                reason = "no-account"
            if not reason and post and not self._staffs(account, post):
                reason = "post"
            if reason:
                self._enter_failure(
                    user, account, reason, address, self._stamp_of(account, moment.at_us, b"")
                )
            else:
                self._throttle.passed(address, user)
                entry = Logon(
                    user=user,
                    proven=True,
                    reason="",
                    session=sessions.digest_of(secret),
                    post=post,
                    totp_step=step,
                )
                self._add(entry, self._stamp_of(account, moment.at_us, b""))
                self._add_keys(account, proven, entry.session, certificate(moment.at_us), moment.at_us)
        if reason:
            raise NotProvenError(
                "user, password, code or post is wrong", code="logon", clause="CJIS IA-2", cure="try again"
            )

    def _add_keys(
        self, account: AccountSet | None, proven: Proven, session: bytes, certificate: bytes, at_us: int
    ) -> None:
        stamp = self._stamp_of(account, at_us, session)
        if proven.fresh is not None:
            self._add(proven.fresh, stamp)
        if certificate:
            self._add(SessionKeySet(session=session, user=stamp.user, certificate=certificate), stamp)

    def _staffs(self, account: AccountSet | None, post: str) -> bool:
        """A staffed post is taken by dispatchers and communications personnel alone."""
        held = self.book.roster.roles_of(account.user, self._clock()) if account else ()
        roles = self.policy.effective_roles(held)
        return post in self.policy.sessions.staffed_posts and not STAFFS_POSTS.isdisjoint(roles)

    def _prove(
        self, user: str, credential: Credential | None, matches: bool, code: str, at_us: int
    ) -> tuple[str, int]:
        """(reason of refusal or "", TOTP step)."""
        if credential is None or not matches:
            return "password", 0
        step = people.totp_step(credential, code, at_us, self.book.roster.used_steps.get(user, -1))
        return ("code", 0) if step is None else ("", step)

    def _enter_failure(
        self, user: str, account: AccountSet | None, reason: str, address: str, stamp: Stamp
    ) -> None:
        """Count a failed logon or unlock, and enter it: one entry a minute and name."""
        self._throttle.failed(self.policy.sessions, address, user, stamp.at_us)
        name = user if account is not None else ""
        times = self._throttle.to_enter(name, stamp.at_us)
        if times:
            note = Logon(
                user=name, proven=False, reason=reason, session=b"", post="", totp_step=0, times=times
            )
            self._add(note, stamp)

    def unlock(
        self, token: str, password: str, code: str, *, certificate: bytes = b"", address: str = ""
    ) -> None:
        """Open a locked session again, by the same person: with the password, or with a fresh certificate of
        their key. Raises as `logon`."""
        with self._deciding():
            session = sessions.find(self.book.sessions, token)
        if certificate:
            proven = self._certified(session.user, certificate, address)
        else:
            proven = self._proven(session.user, password, address)
        with self._deciding() as moment:
            sessions.find(self.book.sessions, token)
            credential = self.credential(session.user)
            reason, step = self._prove(session.user, credential, proven.matches, code, moment.at_us)
            account = self.book.roster.accounts.get(session.user)
            stamp = self._stamp_of(account, moment.at_us, session.digest)
            if reason:
                self._enter_failure(session.user, account, reason, address, stamp)
            else:
                self._throttle.passed(address, session.user)
                opened = SessionEnded(session=session.digest, how="unlocked", totp_step=step)
                self._add(opened, stamp)
                self.log.touch(session.digest, moment.at_us)
        if reason:
            raise NotProvenError(
                "password or code is wrong", code="logon", clause="CJIS IA-2", cure="try again"
            )

    def logoff(self, token: str, *, lock: bool = False) -> None:
        """End a session; `lock`: only until its person unlocks it."""
        with self._deciding() as moment:
            session = sessions.find(self.book.sessions, token)
            account = self.book.roster.accounts.get(session.user)
            if lock and session.locked:
                return
            self._add(
                SessionEnded(session=session.digest, how="locked" if lock else "logoff", totp_step=0),
                self._stamp_of(account, moment.at_us, session.digest),
            )

    def _stamp_of(self, account: AccountSet | None, at_us: int, session: bytes) -> Stamp:
        return Stamp(
            at_us=at_us,
            user=account.user if account else "",
            role=account.roles[0].value if account and account.roles else "",
            organisation=account.organisation if account else "",
            session=session,
            demo=self.root.demo,
        )

    # calls ------------------------------------------------------------------------------------------------

    def act(self, token: str, call: Call, decide: Callable[[Caller], Plan[T]], *, touch: bool = True) -> T:
        """Make one call. `decide` gives the notes to enter and what to make of the entries; it may refuse.

        `touch`: whether the session counts as used; what a stream does by itself keeps no session open.
        Raises DeskRefusal; the refusal itself is entered.
        """
        refusal: DeskRefusal | None = None
        with self._deciding() as moment:
            session = sessions.find(self.book.sessions, token)
            try:
                caller = self._caller(session, call, moment.at_us)
                notes, finish = decide(caller)
            except (DeskRefusal, RecordError) as error:
                refusal = error if isinstance(error, DeskRefusal) else _malformed(call, error)
                account = self.book.roster.accounts.get(session.user)
                stamp = self._stamp_of(account, moment.at_us, session.digest)
                if refusal.code == "session-locked" and not session.locked:
                    self._add(SessionEnded(session=session.digest, how="locked", totp_step=0), stamp)
                if refusal.code == "session-over":
                    self._add(SessionEnded(session=session.digest, how="ended", totp_step=0), stamp)
                self._add(Refused(call=call.value, code=refusal.code, clause=refusal.clause), stamp)
            else:
                if touch:
                    self.log.touch(session.digest, moment.at_us)
                return finish([self._add(note, caller.stamp()) for note in notes])
        raise refusal

    def still(self, token: str, call: Call) -> Caller:
        """Whether a session may go on with a call that it began: no entry, and no use of the session.

        Raises DeskRefusal.
        """
        with self._deciding() as moment:
            return self._caller(sessions.find(self.book.sessions, token), call, moment.at_us)

    def follow_up(self, stamp: Stamp, *notes: Note) -> list[Entry]:
        """Entries that tell how a call ended, under that call's stamp at today's time."""
        with self._deciding() as moment:
            later = replace(stamp, at_us=moment.at_us)
            return [self._add(note, later) for note in notes]

    def _caller(self, session: Session, call: Call, at_us: int) -> Caller:
        last = self.log.last_used(session.digest) or 0
        sessions.demand_open(self.policy, session, last, at_us)
        account = self.book.roster.accounts.get(session.user)
        if account is None or not account.active:
            raise NotProvenError("this account was removed", code="no-account", clause="463.3")
        credential = self.book.roster.credentials.get(account.user)
        if call is not Call.POLICY_READ and (credential is None or credential.first):
            raise NotYetError(
                "this password was made by another person: set your own first",
                code="first-password",
                clause="CJIS IA-5",
                cure="department user password",
            )
        if call is not Call.POLICY_READ:
            known = self.credential(account.user)
            people.demand_approved(self.policy.security, known)
            people.demand_in_date(self.policy.security, known.set_us if known else 0, at_us)
        roles = self.policy.effective_roles(self.book.roster.roles_of(account.user, at_us))
        role = allowing_role(self.policy.grants, roles, call)
        if Role.VENDOR in roles and call is not Call.POLICY_READ:
            demand_grant(self.book.grants, account.user, at_us)
        if CALLS[call].touches_data:
            demand_current(self.policy, self.book.trainings, account.user, at_us)
        return Caller(
            user=account.user,
            role=role,
            roles=roles,
            organisation=account.organisation,
            session=session.digest,
            at_us=at_us,
            demo=self.root.demo,
        )

    # the witness ------------------------------------------------------------------------------------------

    def covered(self, sequence: int) -> Cover:
        """Have the log co-signed past an entry. Raises NotYetError where the answer must not leave."""
        witnesses = self.root.witnessing()
        if witnesses is None:
            raise NotYetError(
                "the root file names no witness, so no answer leaves",
                code="no-witness",
                clause=self.policy.witness.clause,
                cure="department witness init, then a root file that names its key",
            )
        try:
            head = self._publisher.cover(sequence, witnesses, self._links.watchers(self.root))
            confirm = getattr(self._clock, "confirm", None)
            if confirm is not None:
                confirm(head.time_s * 1_000_000, "witness")
            return self._cover(sequence, head.size, head.note, unwitnessed=False)
        except ForkedLogError as error:
            raise NotYetError(
                error.what, code="forked", clause=self.policy.witness.clause, cure=error.cure
            ) from None
        except (LinkError, CheckpointError) as error:
            return self._in_grace(sequence, error)

    def try_cover(self, sequence: int) -> None:
        """The same where nothing leaves: an absent witness is told of the entry with the next answer."""
        with contextlib.suppress(NotYetError):
            self.covered(sequence)

    def _in_grace(self, sequence: int, error: Exception) -> Cover:
        with self._deciding() as moment:
            known = self.book.away
            if known is None or self.log.cosigned()[0] > known.sequence:
                known = self._add(
                    WitnessAway(reason=type(error).__name__), _system_stamp(self.root, moment.at_us)
                )
            away_us = moment.at_us - known.stamp.at_us
            grace = self.policy.witness.grace_minutes
            if not 0 <= away_us < grace * MINUTE_US:
                raise NotYetError(
                    f"the witness has been away for more than {grace} minutes, so no answer leaves",
                    code="witness-away",
                    clause=self.policy.witness.clause,
                    cure="bring the witness back; the entry stands, ask again then",
                )
            mark_unwitnessed()
            size = self.log.size()
            return self._cover(sequence, size, self.log.signed_head(size), unwitnessed=True)

    def _cover(self, sequence: int, size: int, note: str, *, unwitnessed: bool) -> Cover:
        leaf, opened = self.log.opening(sequence)
        return Cover(
            leaf=leaf,
            sequence=sequence,
            salt=opened.salt,
            content=opened.content,
            size=size,
            inclusion=tuple(self.log.inclusion(sequence, size)),
            checkpoint=note,
            unwitnessed=unwitnessed,
        )


class _Deciding:
    """A write transaction on the newest state; a book that a rolled-back entry reached is read anew."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._transaction = desk.log.writing()
        self.at_us = 0
        self._seen = 0

    def __enter__(self) -> _Deciding:
        self._transaction.__enter__()
        try:
            self._desk.refresh()
        except BaseException:
            self._transaction.__exit__(*sys.exc_info())
            raise
        self._seen = self._desk.book.seen
        self.at_us = max(self._desk.now_us(), self._desk.log.newest_us())
        return self

    def __exit__(self, *details: Any) -> bool | None:
        undone = details[0] is not None and self._desk.book.seen != self._seen
        ended = self._transaction.__exit__(*details)
        if undone:
            self._desk.book = self._desk._kept_book()
            self._desk.refresh()
        return ended


def _malformed(call: Call, error: RecordError) -> FormError:
    """A value that cannot be is a refusal like any other: entered, with the clause of its call."""
    return FormError(str(error), code="form", clause=CALLS[call].clause)


def _digest_of(root_file: bytes) -> bytes:
    return describe(root_file)[0].digest()


def _system_stamp(root: Root, at_us: int) -> Stamp:
    return Stamp(
        at_us=at_us, user=SYSTEM, role=SYSTEM, organisation=root.department, session=b"", demo=root.demo
    )


def _root_entry(root: Root, root_file: bytes, policy: Policy, document: bytes) -> RootSet:
    return RootSet(
        version=root.version,
        root_digest=root.digest(),
        root_file=root_file,
        policy_version=policy.version,
        policy_digest=root.policy_digest,
        policy_file=document,
    )
