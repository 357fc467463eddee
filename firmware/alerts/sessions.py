"""Logons at the unit's alert page: identity, role and training are checked against the signed roster.

A login signs a challenge with the person's SSH key (namespace alpr-reader-access, like every access at a
unit), or gives the password if the roster has one. It yields a ticket, which one browser can use once within
a minute for a session. The session ends with the shift, by the time since boot, or when a newer login needs
its place: then the least recently used session ends, of the same person or, if the unit has no room, of all.
Every login is an access entry; those that proved no identity share one per minute and name (logon_guard.py),
so that a stranger cannot fill the card or the log.

The signed request names the unit, so a proof that another machine obtained and passed on is worthless here.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firmware.alerts.logon_guard import LogonGuard
from storage import access, codec
from storage.audit_records import UnitAccess
from storage.clock_trust import boottime_us
from storage.errors import RecordError, RefusedError, StorageError
from storage.ledger import Ledger
from storage.policy import ROLES
from storage.roster import RosterPerson
from storage.times import HOUR_US, MINUTE_US

ACTION = "alerts"
SHIFT_US = 12 * HOUR_US
TICKET_US = MINUTE_US
MOST_SESSIONS = 16
MOST_OF_ONE = 3  # sessions of one person: a laptop that loses its cookies does not use up colleagues' places
MOST_TICKETS = 64
NAME_LENGTH = 64  # of an unproven user name in the log


def subject_of(unit_id: str) -> str:
    """The subject that the signed request of a login at a unit's page names."""
    return f"alert page of {unit_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """A person whose identity is proven, with the role used."""

    user: str
    role: str
    organization: str


@dataclass(slots=True)
class _Given:
    officer: Officer
    until_us: int
    used_us: int = 0


class PageSessions:
    """Logons of one run. Thread-safe."""

    def __init__(
        self, ledger: Ledger, unit: Callable[[], str], boot: Callable[[], int] = boottime_us
    ) -> None:
        """unit: this unit's id at its department."""
        self._ledger, self._unit, self._boot = ledger, unit, boot
        self._nonces = access.Nonces()
        self._lock = threading.Lock()
        self._tickets: dict[bytes, _Given] = {}
        self._sessions: dict[bytes, _Given] = {}
        self._guard = LogonGuard()

    def challenge(self) -> dict[str, Any]:
        """A nonce to sign."""
        return {"nonce": self._nonces.give(self._boot()), "log_id": self._ledger.store.log_id}

    def log_on(self, body: Mapping[str, Any], address: str = "") -> str:
        """A ticket for a proven person. address: of the requester. Raises RefusedError, RecordError."""
        with self._lock:
            self._guard.demand_pace(address, self._boot())
        request = codec.from_plain(access.Request, body.get("request"))
        if request.action != ACTION:
            raise RecordError("the signed request does not match", where="action")
        plain = body.get("proof")
        proof = None if plain is None else codec.from_plain(access.Proof, plain)
        with self._lock:
            person = self._proven(request, proof, address)
            try:
                if request.subject != subject_of(self._unit()):
                    raise RefusedError(
                        "the request was signed for another unit's page",
                        clause="463.3",
                        cure="log in by this unit's own name, with the newest reader",
                    )
                self._permit(person, request.role)
            except StorageError as refusal:
                self._enter(request, None, str(refusal))
                raise
            officer = Officer(user=person.user, role=request.role, organization=person.organisation)
            self._enter(request, officer, None)
            ticket = os.urandom(32)
            self._tickets = self._running(self._tickets)
            if len(self._tickets) >= MOST_TICKETS:
                raise RefusedError("too many logins wait", clause="463.5", cure="try again in a minute")
            self._tickets[_digest(ticket)] = _Given(officer, self._boot() + TICKET_US)
            return ticket.hex()

    def _proven(self, request: access.Request, proof: access.Proof | None, address: str) -> RosterPerson:
        """The proven requester. Notes a refusal, which is logged at most once a minute."""
        boot_us, roster = self._boot(), self._ledger.standing.roster
        fresh = proof is not None and self._nonces.is_fresh(proof.nonce, boot_us)
        by_password = fresh and proof is not None and proof.password is not None
        locked = by_password and self._guard.is_locked(address, request.user, boot_us)
        try:
            person = access.prove(
                roster, request, proof, log_id=self._ledger.store.log_id, fresh=fresh, locked=locked
            )
        except RefusedError as refusal:
            if by_password and access.BAD_CREDENTIAL in str(refusal):
                self._guard.note_wrong_password(address, request.user, boot_us)
            name = request.user if roster.person(request.user) is not None else ""
            self._guard.note_refused(name, request, str(refusal), boot_us)
            self._enter_refused()
            raise
        if proof is not None:
            self._nonces.use(proof.nonce, boot_us)
        self._enter_refused()
        return person

    def _enter_refused(self) -> None:
        """Log the refused logins that are due (see LogonGuard.take_due)."""
        for one in self._guard.take_due(self._boot()):
            words = "login at the alert page" + (f", {one.count} refused" if one.count > 1 else "")
            user, role = one.request.user[:NAME_LENGTH], one.request.role
            organization = self._ledger.store.policy.organisation
            self._append(user, role if role in ROLES else "", organization, ACTION, "", words, one.why, ())

    def redeem(self, ticket: str) -> str:
        """Exchange a ticket for a session, once; may end another to make room. Raises RefusedError."""
        with self._lock:
            given = self._tickets.pop(_digest(_bytes(ticket)), None)
            if given is None or self._boot() >= given.until_us:
                raise RefusedError("this link was used or has expired", clause="463.3", cure="log in again")
            self._sessions = self._running(self._sessions)
            user, now_us = given.officer.user, self._boot()
            own = [name for name, one in self._sessions.items() if one.officer.user == user]
            if len(own) >= MOST_OF_ONE:
                self._end_idle(own)
            elif len(self._sessions) >= MOST_SESSIONS:
                self._end_idle(list(self._sessions))
            token = os.urandom(32)
            self._sessions[_digest(token)] = _Given(given.officer, now_us + SHIFT_US, now_us)
            return token.hex()

    def _end_idle(self, names: list[bytes]) -> None:
        """End the least recently used session; each beat of an open page's feed counts as use."""
        del self._sessions[min(names, key=lambda name: self._sessions[name].used_us)]

    def find(self, token: str) -> Officer:
        """The session's officer, if still on the roster, trained and not revoked. Raises RefusedError."""
        with self._lock:
            self._enter_refused()
            given = self._sessions.get(_digest(_bytes(token)))
            if given is None or self._boot() >= given.until_us:
                raise RefusedError("log in", clause="463.3", cure="reader logon")
            given.used_us = self._boot()
            officer = given.officer
        person = self._ledger.standing.roster.person(officer.user)
        if person is None:
            raise RefusedError("the roster no longer names this user", clause="463.3")
        self._permit(person, officer.role)
        return officer

    def _permit(self, person: RosterPerson, role: str) -> None:
        """Raises RefusedError."""
        time, policy = self._ledger.store.time, self._ledger.store.policy
        access.at_one_of(
            time.perhaps_us(), lambda now_us: access.permit_alerts(person, role, policy, now_us=now_us)
        )

    def end(self, token: str) -> None:
        """Log out."""
        with self._lock:
            self._sessions.pop(_digest(_bytes(token)), None)

    def enter_look(self, officer: Officer, read: int, number: int, purpose: str, case: str) -> int:
        """Log the access entry of a look at a read's image, before the image is shown; its number."""
        return self._append(
            officer.user,
            officer.role,
            officer.organization,
            purpose,
            case,
            f"image of alert {number}",
            None,
            (read,),
        )

    def _enter(self, request: access.Request, officer: Officer | None, refusal: str | None) -> None:
        organization = officer.organization if officer else self._ledger.store.policy.organisation
        self._append(
            request.user, request.role, organization, ACTION, "", "login at the alert page", refusal, ()
        )

    def _append(  # noqa: PLR0917 - one entry
        self,
        user: str,
        role: str,
        organization: str,
        purpose: str,
        case: str,
        elements: str,
        refusal: str | None,
        records: tuple[int, ...],
    ) -> int:
        moment = self._ledger.store.time.now()
        entry = UnitAccess(
            action=ACTION,
            at_us=moment.us,
            clock_state=moment.state,
            user=user,
            role=role,
            organisation=organization,
            purpose=purpose,
            case_number=case,
            elements=elements,
            allowed=refusal is None,
            refusal=refusal,
            proof="session" if records else "credential",
            demo=self._ledger.standing.roster.demo,
            records=records,
        )
        return self._ledger.append(entry).sequence

    def _running(self, given: dict[bytes, _Given]) -> dict[bytes, _Given]:
        now_us = self._boot()
        return {name: one for name, one in given.items() if now_us < one.until_us}


def _bytes(token: str) -> bytes:
    try:
        return bytes.fromhex(token) if len(token) == 64 else b""
    except ValueError:
        return b""


def _digest(token: bytes) -> bytes:
    """A token's digest, which is stored in its place, so that the time of a lookup reveals nothing."""
    return hmac.digest(b"alpr-reader/page/v1", token, hashlib.sha256)
