"""Logging in, unlocking and logging out: by password and code, by the person's key, or by a passkey."""

from __future__ import annotations

import os
from collections.abc import Callable

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.errors import RecordError, StorageError
from sync.department.desk import sessions
from sync.department.desk.log_state import LogState
from sync.department.desk.logon_forms import Begun
from sync.department.desk.people import rules as people
from sync.department.desk.people.challenges import NONCE_BYTES, Challenges, Site
from sync.department.desk.people.keys import Proven, certified, prove, scheme_of, stand_in
from sync.department.desk.people.rules import Credential
from sync.department.desk.sessions import Session
from sync.department.ground.person_key import SALT_BYTES, SessionToken
from sync.department.journal.entries import BY_OWN_HAND, AccountSet, Entry, EntryOf, Logon, SessionEnded
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.passkeys import answered_by, challenge_of, demand_answer, passkey_certificate
from sync.department.journal.person_entries import CODE, PASSKEY, FreshProof, SessionKeySet
from sync.department.journal.statements import CALL_PROOF, SESSION, certify
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import FormError, NotProvenError
from sync.department.policy.roles import STAFFS_POSTS

log_events = structlog.get_logger("department.logons")


class Logons:
    """Proves who a person at the desk is, and opens their sessions."""

    def __init__(self, state: LogState) -> None:
        self._state = state
        self.challenges = Challenges()
        self.site = Site(rp_id="localhost", origin="https://localhost")

    def logon(
        self, user: str, password: str, code: str, *, post: str = "", address: str = "", proves: bool = False
    ) -> str:
        """Log in and return the session's token. Raises LockedError, TooManyError, NotProvenError.

        `address`: where the login comes from; failures are counted for the name from there. `proves`: whether
        it is a fresh proof too, for the session of one command.
        """
        proven = self._proven(user, password, address)
        session = Ed25519PrivateKey.generate() if proven.key is not None else None
        given = SessionToken(
            secret=sessions.new_token(), key=session, department=self._state.log.log_id, user=user
        )

        def certificate(at_us: int) -> bytes:
            if proven.key is None or session is None:
                return b""
            public = session.public_key().public_bytes_raw()
            return certify(proven.key, self._state.log.log_id, user, SESSION, public, at_us)

        self._open(user, proven, code, post, address, given.secret, certificate, proves=proves)
        return given.text()

    def begin(self, user: str, address: str = "") -> Begun:
        """What a client needs to make a person's key. Raises TooManyError.

        An unknown name is answered like the account that it looks like.
        """
        self._state.throttle.demand_pace(address, self._state.now_us(), begins=True)
        with self._state.deciding() as moment:
            terms, secret = self._state.policy.security, self._state.secret_of(b"salt", user)
            invented = stand_in(user, secret, self._state.book.signers.keys)
            known = self._state.book.signers.keys.get(user) or invented
            return Begun(
                department=self._state.log.log_id,
                salt=known.salt if known else secret[:SALT_BYTES],
                scheme=known.scheme if known else scheme_of(terms),
                now_us=moment.at_us,
            )

    def logon_signed(
        self,
        user: str,
        certificate: bytes,
        code: str,
        *,
        post: str,
        address: str,
        proves: bool,
    ) -> str:
        """Log in with a session key that the person's key certified elsewhere, so that no password comes
        here."""
        proven = self._certified(user, certificate, address)
        secret = sessions.new_token()
        self._open(user, proven, code, post, address, secret, lambda _at_us: certificate, proves=proves)
        return secret

    def logon_passkey(self, answer: str, *, post: str = "", address: str = "") -> str:
        """Log in with an authenticator's answer to `begin_passkey`. Raises as `logon`."""
        self._state.throttle.demand_pace(address, self._state.now_us())
        try:
            challenge = challenge_of(answer)
        except RecordError as error:
            raise FormError(str(error), code="passkey", clause="CJIS IA-2") from None
        waiting = self.challenges.take(challenge, self._state.now_us())
        user, message = waiting.user, passkey_certificate(waiting.certificate, answer)
        self._state.throttle.demand_open(self._state.policy.sessions, address, user, self._state.now_us())
        given = SessionToken(
            secret=sessions.new_token(), key=waiting.key, department=self._state.log.log_id, user=user
        )
        proven = Proven(matches=self._signed_by_passkey(user, message), passkey=True)
        self._open(user, proven, "", post, address, given.secret, lambda _at_us: message)
        return given.text()

    def unlock(
        self, token: str, password: str, code: str, *, certificate: bytes = b"", address: str = ""
    ) -> None:
        """Open a locked session again with the person's password or a fresh certificate by their key.

        Raises as `logon`.
        """
        session, log_id = self.session_of(token), self._state.log.log_id
        signers = self._state.book.signers
        signer = signers.sessions.get(session.digest) if signers.form >= BY_OWN_HAND else None
        public = b"" if signer is None else signer.public_key
        if certificate:
            proven = self._certified(session.user, certificate, address, SESSION, public)
        else:
            proven = self._proven(session.user, password, address)

        def judge(at_us: int) -> tuple[str, list[Note]]:
            credential, signed = self._state.credential(session.user), b""
            reason, step = self._prove(session.user, credential, proven.matches, code, at_us)
            if public:
                own = proven.key
                signed = certify(own, log_id, session.user, SESSION, public, at_us) if own else certificate
            ended = SessionEnded(session=session.digest, how="unlocked", totp_step=step, certificate=signed)
            return reason, [ended]

        self._enter_unlock(token, address, judge)

    def unlock_passkey(self, token: str, answer: str, *, address: str = "") -> None:
        """Unlock with a passkey's answer to `begin_unlock`. The entry of the proof comes first. Raises as
        `unlock`."""
        self._state.throttle.demand_pace(address, self._state.now_us())
        session = self.session_of(token)
        judged = self._answered(session, answer, address, unlocks=True)

        def judge(_at_us: int) -> tuple[str, list[Note]]:
            reason, proof = judged()
            return reason, [proof, SessionEnded(session=session.digest, how="unlocked", totp_step=-1)]

        self._enter_unlock(token, address, judge)

    def session_of(self, token: str) -> Session:
        """The session of a token, locked or not. Raises NotProvenError."""
        with self._state.deciding():
            return sessions.find(self._state.book.sessions, token)

    def _enter_unlock(self, token: str, address: str, judge: Callable[[int], tuple[str, list[Note]]]) -> None:
        """Enter an unlock or its failure. `judge`: (why it fails or "", the entries) at a given time."""
        with self._state.deciding() as moment:
            session = sessions.find(self._state.book.sessions, token)
            account = self._state.book.roster.accounts.get(session.user)
            stamp = self._state.stamp_of(account, moment.at_us, session.digest)
            reason, notes = judge(moment.at_us)
            if reason:
                self._enter_failure(session.user, account, reason, address, stamp)
            else:
                self._state.throttle.passed(address, session.user)
                for note in notes:
                    self._state.add(note, stamp)
                self._state.log.touch(session.digest, moment.at_us)
        if reason:
            raise NotProvenError(
                "password, code or passkey is wrong", code="logon", clause="CJIS IA-2", cure="try again"
            )

    def logoff(self, token: str, *, lock: bool = False) -> None:
        """End a session; `lock`: only until its person unlocks it."""
        with self._state.deciding() as moment:
            session = sessions.find(self._state.book.sessions, token)
            account = self._state.book.roster.accounts.get(session.user)
            if lock and session.locked:
                return
            self._state.add(
                SessionEnded(session=session.digest, how="locked" if lock else "logoff", totp_step=0),
                self._state.stamp_of(account, moment.at_us, session.digest),
            )

    def prove(
        self,
        token: str,
        password: str,
        code: str,
        *,
        certificate: bytes = b"",
        nonce: bytes = b"",
        proof: str = "",
        address: str = "",
    ) -> Entry:
        """Give a fresh proof for one refused call in an open session, and return its entry.

        It takes an unused code and the password, or a certificate that the person's key made for that call
        with `nonce`. `proof`: as named in the refusal. Raises as `unlock`, LockedError for a locked session,
        and FormError if no call asked for a proof.
        """
        if certificate and not nonce:  # not a wrong password, so it counts as no failure
            raise FormError(
                "this proof comes from a command that is older than the department's server",
                code="old-command",
                clause="CJIS IA-11",
                cure="update `department` on this workstation",
            )
        session, log_id = self._open_session(token), self._state.log.log_id
        user, use = session.user, self.challenges.asked(session.digest, proof)
        nonce = nonce if certificate else os.urandom(NONCE_BYTES)
        challenge = use.challenge(log_id, session.digest, nonce)
        if certificate:
            proven = self._certified(user, certificate, address, CALL_PROOF, challenge)
        else:
            proven = self._proven(user, password, address)

        def judge(at_us: int) -> tuple[str, list[Note]]:
            reason, step = self._prove(user, self._state.credential(user), proven.matches, code, at_us)
            signed = certificate
            if proven.key is not None:
                signed = certify(proven.key, log_id, user, CALL_PROOF, challenge, at_us)
            made = FreshProof(
                how=CODE,
                totp_step=step,
                credential_id=b"",
                use=use.use,
                form=use.form,
                nonce=nonce,
                certificate=signed,
                once=1,
            )
            return reason, [made] if proven.fresh is None else [proven.fresh, made]

        return self._enter_proof(token, address, judge)

    def prove_passkey(self, token: str, answer: str, *, address: str = "") -> Entry:
        """Give a fresh proof with a passkey's answer to this session's challenge. Raises as `prove`."""
        self._state.throttle.demand_pace(address, self._state.now_us())
        judged = self._answered(self._open_session(token), answer, address)

        def judge(_at_us: int) -> tuple[str, list[Note]]:
            reason, proof = judged()
            return reason, [proof]

        return self._enter_proof(token, address, judge)

    def _answered(
        self, session: Session, answer: str, address: str, *, unlocks: bool = False
    ) -> Callable[[], tuple[str, FreshProof]]:
        """Use up the challenge of a passkey's answer, and return a function that judges the answer.

        That returns (why it fails or "", the proof). Raises LockedError, FormError, NotProvenError.
        """
        now_us = self._state.now_us()
        self._state.throttle.demand_open(self._state.policy.sessions, address, session.user, now_us)
        try:
            challenge, name = challenge_of(answer), answered_by(answer)
        except RecordError as error:
            raise FormError(str(error), code="passkey", clause="CJIS IA-11") from None
        waiting = self.challenges.take_proof(challenge, session.digest, now_us, unlocks=unlocks)

        def judge() -> tuple[str, FreshProof]:
            keys = self._state.book.signers.passkeys.get(session.user, ())
            key = next((one for one in keys if one.credential_id == name), None)
            proof = FreshProof(
                how=PASSKEY,
                totp_step=-1,
                credential_id=name,
                use=waiting.use.use,
                form=waiting.use.form,
                nonce=waiting.nonce,
                response=answer,
                once=1,
            )
            if key is None:
                return "passkey", proof
            try:
                demand_answer(answer, challenge, key)
            except StorageError:
                return "passkey", proof
            return "", proof

        return judge

    def _open_session(self, token: str) -> Session:
        """The session of a token, which must not be locked. Raises NotProvenError, LockedError."""
        with self._state.deciding() as moment:
            session = sessions.find(self._state.book.sessions, token)
            last_us = self._state.log.last_used(session.digest) or 0
            sessions.demand_open(self._state.policy, session, last_us, moment.at_us)
            account = self._state.book.roster.accounts.get(session.user)
            if account is None or not account.active:
                raise NotProvenError("this account was removed", code="no-account", clause="463.3")
        return session

    def _enter_proof(self, token: str, address: str, judge: Callable[[int], tuple[str, list[Note]]]) -> Entry:
        """Enter a proof or its failure. `judge`: (why it fails or "", the entries, the proof last) at a given
        time."""
        with self._state.deciding() as moment:
            session = sessions.find(self._state.book.sessions, token)
            account = self._state.book.roster.accounts.get(session.user)
            stamp = self._state.stamp_of(account, moment.at_us, session.digest)
            reason, notes = judge(moment.at_us)
            if not reason:
                self._state.throttle.passed(address, session.user)
                self._state.log.touch(session.digest, moment.at_us)
                return [self._state.add(note, stamp) for note in notes][-1]
            self._enter_failure(session.user, account, reason, address, stamp)
        raise NotProvenError(
            "password, code or passkey is wrong", code="logon", clause="CJIS IA-11", cure="try again"
        )

    def _signed_by_passkey(self, user: str, message: bytes) -> bool:
        """Whether a passkey of this person certified the session's key."""
        with self._state.deciding() as moment:
            account = self._state.book.roster.accounts.get(user)
            note = SessionKeySet(session=bytes(32), user=user, certificate=message)
            try:
                self._state.book.signers.check(
                    EntryOf(self._state.log.size(), self._state.stamp_of(account, moment.at_us, b""), note)
                )
            except UnsignedError:
                return False
        return True

    def _proven(self, user: str, password: str, address: str) -> Proven:
        """What a password proves. This computes its hash, outside of any transaction."""
        self._demand_turn(user, address)
        with self._state.deciding():
            credential, known = self._state.credential(user), self._state.book.signers.keys.get(user)
            terms = self._state.policy.security
            if credential is None:  # takes as long as for the account that it looks like
                secret = self._state.secret_of(b"salt", user)
                credential = people.nobody(terms)
                known = stand_in(user, secret, self._state.book.signers.keys)
        return prove(terms, self._state.log.log_id, user, credential, known, password)

    def _demand_turn(self, user: str, address: str) -> None:
        """Refuse too many failures. Raises TooManyError, LockedError."""
        now_us, throttle = self._state.now_us(), self._state.throttle
        throttle.demand_pace(address, now_us)
        throttle.demand_open(self._state.policy.sessions, address, user, now_us)
        throttle.demand_codes(user, now_us)

    def _certified(
        self, user: str, certificate: bytes, address: str, use: str = SESSION, of: bytes = b""
    ) -> Proven:
        """What a certificate proves."""
        self._demand_turn(user, address)
        with self._state.deciding() as moment:
            known, log_id = self._state.book.signers.keys.get(user), self._state.log.log_id
            return Proven(matches=certified(known, log_id, user, certificate, moment.at_us, use, of))

    def _open(  # noqa: PLR0917 - what a login sends
        self,
        user: str,
        proven: Proven,
        code: str,
        post: str,
        address: str,
        secret: str,
        certificate: Callable[[int], bytes],
        *,
        proves: bool = False,
    ) -> None:
        """Enter a login and the keys that come with it. Raises NotProvenError."""
        with self._state.deciding() as moment:
            credential = self._state.credential(user)
            if proven.passkey:
                used = self._state.book.roster.used_steps.get(user, -1)
                reason, step = ("" if proven.matches and credential is not None else "passkey"), used
            else:
                reason, step = self._prove(user, credential, proven.matches, code, moment.at_us)
            account = self._state.book.roster.accounts.get(user)
            if not reason and (account is None or not account.active):
                reason = "no-account"
            if not reason and post and not self._staffs(account, post):
                reason = "post"
            if reason:
                self._enter_failure(
                    user, account, reason, address, self._state.stamp_of(account, moment.at_us, b"")
                )
            else:
                self._state.throttle.passed(address, user)
                entry = Logon(
                    user=user,
                    proven=True,
                    reason="",
                    session=sessions.digest_of(secret),
                    post=post,
                    totp_step=step,
                    fresh=proves,
                )
                self._state.add(entry, self._state.stamp_of(account, moment.at_us, b""))
                self._add_keys(account, proven, entry.session, certificate(moment.at_us), moment.at_us)
        if reason:
            raise NotProvenError(
                "user, password, code or post is wrong", code="logon", clause="CJIS IA-2", cure="try again"
            )

    def _add_keys(
        self, account: AccountSet | None, proven: Proven, session: bytes, certificate: bytes, at_us: int
    ) -> None:
        stamp = self._state.stamp_of(account, at_us, session)
        if proven.fresh is not None:
            self._state.add(proven.fresh, stamp)
        if certificate:
            self._state.add(SessionKeySet(session=session, user=stamp.user, certificate=certificate), stamp)

    def _staffs(self, account: AccountSet | None, post: str) -> bool:
        """Whether the account may take this post: only dispatchers and communications personnel take a
        staffed one."""
        held = self._state.book.roster.roles_of(account.user, self._state.now_us()) if account else ()
        roles = self._state.policy.effective_roles(held)
        return post in self._state.policy.sessions.staffed_posts and not STAFFS_POSTS.isdisjoint(roles)

    def _prove(
        self, user: str, credential: Credential | None, matches: bool, code: str, at_us: int
    ) -> tuple[str, int]:
        """Check password and code: (reason of refusal or "", TOTP step)."""
        if credential is None or not matches:
            return "password", 0
        used = self._state.book.roster.used_steps.get(user, -1)
        # a phone's clock may be right when the server's is wrong
        for now_us in (*self._state.phone_times(), at_us):
            if (step := people.totp_step(credential, code, now_us, used)) is not None:
                return "", step
        return "code", 0

    def _enter_failure(
        self, user: str, account: AccountSet | None, reason: str, address: str, stamp: Stamp
    ) -> None:
        """Count a failed login or unlock and enter it, with at most one entry per minute and name."""
        throttle, terms = self._state.throttle, self._state.policy.sessions
        locks = throttle.failed(terms, address, user, stamp.at_us, code=reason == "code")
        name = user if account is not None else ""
        times = throttle.to_enter(name, stamp.at_us)
        if locks:
            log_events.warning("codes_guessed", user=name)
            # entered at once: someone else may have this person's password
            reason, times = "codes", max(1, times)
        if times:
            note = Logon(
                user=name, proven=False, reason=reason, session=b"", post="", totp_step=0, times=times
            )
            self._state.add(note, stamp)
