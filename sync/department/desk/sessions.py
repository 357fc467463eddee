"""Sessions: each login gets a token, which locks after 30 idle minutes and ends after the day's work. No I/O.

The log holds the SHA-256 of each token that was given out. A token without such an entry opens nothing, so
neither does a session row planted in a database.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace

from storage.counts import counted
from storage.times import HOUR_US, MINUTE_US
from sync.department.ground.person_key import secret_of
from sync.department.journal.entries import AccountSet, CredentialSet, Entry, Logon, SessionEnded
from sync.department.journal.passkeys import ProvenUse
from sync.department.journal.person_entries import CODE, FreshProof
from sync.department.journal.proven_uses import LONGEST_US, words_of
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import LockedError, NotProvenError

TOKEN_BYTES = 32


def new_token() -> str:
    """Make a session token of 256 random bits, which only its person gets."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> bytes:
    """The digest by which the log names a token."""
    return hashlib.sha256(b"alpr-department/session/v1\x00" + secret_of(token).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProof:
    """A fresh proof in a session: in words, with its entry, and when.

    `use`: the one call that it proves; None for the login of a command, which proves what that command does.
    """

    words: str
    at_us: int
    use: ProvenUse | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login. `locked`: whether it was idle too long and opens again only with password and code, or a
    passkey.

    `proofs`: the fresh proofs of its last minutes that no call has used yet; a browser's login and an unlock
    are not fresh proofs. `locked_us`: when it was last locked.
    """

    digest: bytes
    user: str
    post: str
    opened_us: int
    proven_us: int
    locked: bool
    proofs: tuple[SessionProof, ...] = ()
    locked_us: int = 0


@dataclass(slots=True)
class Sessions:
    """What the log's entries say of sessions."""

    open: dict[bytes, Session] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        note = entry.note
        self._use_up(entry)
        if isinstance(note, CredentialSet):
            self._end_others(note.user, entry.stamp.session)
        elif isinstance(note, AccountSet):
            if not note.active:
                self._end_others(note.user, b"")
        elif isinstance(note, Logon) and note.proven:
            self.open[note.session] = Session(
                digest=note.session,
                user=note.user,
                post=note.post,
                opened_us=entry.stamp.at_us,
                proven_us=entry.stamp.at_us,
                locked=False,
            )
            if note.fresh:
                self._prove(note.session, entry, CODE, None)
        elif isinstance(note, FreshProof):
            use = ProvenUse(use=note.use, form=note.form)
            self._prove(entry.stamp.session, entry, note.how, use)
        elif isinstance(note, SessionEnded) and note.session in self.open:
            known = self.open[note.session]
            if note.how in {"locked", "unlocked"}:
                unlocked = note.how == "unlocked"
                self.open[note.session] = replace(
                    known,
                    proven_us=entry.stamp.at_us if unlocked else known.proven_us,
                    locked=not unlocked,
                    locked_us=known.locked_us if unlocked else entry.stamp.at_us,
                )
            else:
                del self.open[note.session]

    def _prove(self, session: bytes, entry: Entry, how: str, use: ProvenUse | None) -> None:
        known, at_us = self.open.get(session), entry.stamp.at_us
        if known is not None and known.user == entry.stamp.user:
            kept = (one for one in known.proofs if at_us - one.at_us < LONGEST_US)
            made = SessionProof(words=words_of(how, entry.sequence), at_us=at_us, use=use)
            self.open[session] = replace(known, proofs=(*kept, made))

    def _use_up(self, entry: Entry) -> None:
        """Use up a call's proof by the first entry of that call."""
        words, known = entry.stamp.proven, self.open.get(entry.stamp.session)
        if words and known is not None and any(one.words == words and one.use for one in known.proofs):
            kept = tuple(one for one in known.proofs if one.words != words or one.use is None)
            self.open[known.digest] = replace(known, proofs=kept)

    def _end_others(self, user: str, but: bytes) -> None:
        """End every session of a user except `but`, which set the new credential."""
        for digest in [one.digest for one in self.open.values() if one.user == user and one.digest != but]:
            del self.open[digest]


def find(sessions: Sessions, token: str) -> Session:
    """The session of a token. Raises NotProvenError."""
    session = sessions.open.get(digest_of(token)) if token else None
    if session is None:
        raise NotProvenError(
            "no session with this token", code="no-session", clause="463.3", cure="department user login"
        )
    return session


def idle_too_long(policy: Policy, session: Session, last_used_us: int, now_us: int) -> bool:
    """Whether a session was idle too long (CJIS AC-11). A staffed post that the policy names is exempt.

    A clock that ran back counts as idle.
    """
    if session.post and session.post in policy.sessions.staffed_posts:
        return False
    since = max(last_used_us, session.proven_us)
    return now_us < session.proven_us or now_us - since >= policy.sessions.lock_minutes * MINUTE_US


def locked_words(policy: Policy, session: Session, last_used_us: int) -> str:
    """Why a session is locked: its person locked it, or it was idle too long."""
    if session.locked and not idle_too_long(policy, session, last_used_us, session.locked_us):
        return "locked by you"
    return f"locked after {policy.sessions.lock_minutes} idle minutes"


def demand_open(policy: Policy, session: Session, last_used_us: int, now_us: int) -> None:
    """Demand an open session. Raises LockedError if it is locked or idle, NotProvenError if its hours are
    over."""
    hours = policy.sessions.longest_hours
    if now_us - session.opened_us >= hours * HOUR_US:
        what = f"this session ended after {counted(hours, 'hour')}"
        raise NotProvenError(what, code="session-over", clause="CJIS AC-12", cure="log in again")
    if session.locked or idle_too_long(policy, session, last_used_us, now_us):
        raise LockedError(
            locked_words(policy, session, last_used_us),
            code="session-locked",
            clause="CJIS AC-11",
            cure="unlock it with password and code, or with a passkey",
        )


def fresh_proof(policy: Policy, session: Session, now_us: int, use: ProvenUse | None) -> str:
    """The proof, in words, that an entry of this session now names; empty if there is none.

    `use`: what the call asks the proof for. It must be from within the policy's minutes.
    """
    good_us = policy.sessions.proof_minutes * MINUTE_US
    good = [one for one in session.proofs if one.use in {None, use} and 0 <= now_us - one.at_us < good_us]
    return good[-1].words if good else ""
