"""Logons and proofs that wait for an authenticator's answer: in memory, for five minutes, limited in
number."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.times import MINUTE_US
from sync.department.journal.passkeys import UNLOCK, ProvenUse
from sync.department.policy.refusals import FormError, NotProvenError

NONCE_BYTES = 16
LIFE_US = 5 * MINUTE_US
MOST_WAITING = 500
MOST_OF_SESSION = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The site that passkeys are for: its host name, and its origin as browsers write it."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLogon:
    """A login that waits for an authenticator: the session's key, and what the authenticator will sign."""

    user: str
    key: Ed25519PrivateKey = field(repr=False)
    certificate: bytes
    at_us: int
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingProof:
    """A fresh proof that waits for an authenticator: its session, and what it proves."""

    session: bytes
    at_us: int
    use: ProvenUse
    nonce: bytes


class Challenges:
    """What waits for an authenticator's answer. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._logons: OrderedDict[bytes, WaitingLogon] = OrderedDict()
        self._proofs: OrderedDict[bytes, WaitingProof] = OrderedDict()
        self._asked: OrderedDict[tuple[bytes, str], ProvenUse] = OrderedDict()

    def add(self, one: WaitingLogon) -> bytes:
        """Keep a login and return its challenge."""
        challenge = hashlib.sha256(one.certificate).digest()
        with self._guard:
            self._logons[challenge] = one
            while len(self._logons) > MOST_WAITING:
                self._drop_logon()
        return challenge

    def _drop_logon(self) -> None:
        """Drop the oldest login of the address with the most, so that a flood only displaces its own
        logons."""
        busiest, _ = Counter(one.address for one in self._logons.values()).most_common(1)[0]
        del self._logons[next(name for name, one in self._logons.items() if one.address == busiest)]

    def take(self, challenge: bytes, now_us: int) -> WaitingLogon:
        """Remove and return the login of a challenge. Raises NotProvenError."""
        with self._guard:
            found = self._logons.pop(challenge, None)
        if found is None or not 0 <= now_us - found.at_us < LIFE_US:
            raise NotProvenError(
                "this login was not started here, or is older than five minutes",
                code="logon",
                clause="CJIS IA-2",
            )
        return found

    def ask(self, session: bytes, use: ProvenUse) -> None:
        """Note a call that this session was refused for lack of a proof, so that its next proof may be for
        it."""
        with self._guard:
            self._asked[session, use.name] = use
            self._asked.move_to_end((session, use.name))
            own = [key for key in self._asked if key[0] == session]
            for key in own[:-MOST_OF_SESSION]:  # a session displaces only its own
                del self._asked[key]
            while len(self._asked) > MOST_WAITING:
                self._asked.popitem(last=False)

    def asked(self, session: bytes, name: str = "") -> ProvenUse:
        """The use for which a refused call of this session needs a proof: the named one, else the newest.

        `name`: a `ProvenUse.name`. Raises FormError if there is none.
        """
        with self._guard:
            wanted = (one for one in reversed(self._asked) if one[0] == session and name in {"", one[1]})
            found = next(wanted, None)
            if found is not None:
                return self._asked[found]
        raise FormError(
            "a proof is for one call: no call of this session asked for "
            + ("this one" if name else "a proof"),
            code="proof",
            clause="CJIS IA-11",
            cure="send it, prove it, and send it again",
        )

    def add_proof(self, department: bytes, session: bytes, use: ProvenUse, now_us: int) -> bytes:
        """Make the challenge of a fresh proof in this session, for one use."""
        nonce = os.urandom(NONCE_BYTES)
        challenge = use.challenge(department, session, nonce)
        with self._guard:
            self._proofs[challenge] = WaitingProof(session=session, at_us=now_us, use=use, nonce=nonce)
            while len(self._proofs) > MOST_WAITING:
                self._proofs.popitem(last=False)
        return challenge

    def take_proof(self, challenge: bytes, session: bytes, now_us: int, *, unlocks: bool) -> WaitingProof:
        """Remove and return what waits for a challenge of this session. Raises NotProvenError.

        `unlocks`: whether the challenge is for an unlock.
        """
        with self._guard:
            found = self._proofs.pop(challenge, None)
        of_this = found is not None and (found.session, found.use.use == UNLOCK) == (session, unlocks)
        if found is None or not of_this or not 0 <= now_us - found.at_us < LIFE_US:
            raise NotProvenError(
                "this proof was not started in this session, or is older than five minutes",
                code="logon",
                clause="CJIS IA-11",
            )
        return found
