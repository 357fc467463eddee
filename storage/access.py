"""The rules of access to content: who asks, in which role, for which purpose, with which proof. No I/O.

A refusal names its policy clause. The door logs every request before it answers, refused ones included.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from storage import codec, ssh_signature
from storage.envelope import encode
from storage.errors import RecordError, RefusedError
from storage.policy import ROLES, CustodyPolicy
from storage.roster import Roster, RosterPerson, password_holds
from storage.ssh_signature import SshPublicKey, SshSignatureError
from storage.times import DAY_US, MINUTE_US

NAMESPACE = "alpr-reader-access"
NONCE_US = 2 * MINUTE_US
ALIASES = {"officer": "sworn-officer", "supervisor": "ccat-supervisor", "analyst": "ccat"}
BAD_CREDENTIAL = "the credential does not prove that user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person asks for. `action`: query, audit, hold, release or export. `subject`: its parameters, as
    text.
    """

    action: str
    user: str
    role: str
    purpose: str
    case_number: str
    subject: str = field(repr=False)

    def check(self) -> None:
        for name in ("action", "user", "role", "purpose", "case_number"):
            if len(getattr(self, name)) > 200:
                raise RecordError("is longer than 200 characters", where=name)
        if len(self.subject) > 4000:
            raise RecordError("is longer than 4000 characters", where="subject")

    def digest(self) -> bytes:
        return hashlib.sha256(codec.to_bytes(self)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How a person proves who they are: an SSH signature over the challenge, or a password."""

    nonce: bytes
    signature: bytes | None
    password: str | None = field(repr=False)


def challenge(log_id: bytes, nonce: bytes, request: Request) -> bytes:
    """The bytes that the person signs (namespace alpr-reader-access). They bind this home, this nonce and
    this request."""
    return encode(["alpr-reader/access/v1", log_id, nonce, request.digest()])


class Nonces:
    """Challenges: each is valid for one request within two minutes.

    A nonce carries its own time of issue (48 bits, ms since boot) under a MAC. So nothing is stored for a
    nonce that was only issued, however many a stranger asks for; the used ones are remembered.
    """

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._used: dict[bytes, int] = {}
        self._given = itertools.count()

    def give(self, boot_us: int) -> bytes:
        """Make a nonce, 16 bytes: its time, a number unique within the millisecond, a 64-bit MAC."""
        head = (boot_us // 1000).to_bytes(6, "big") + (next(self._given) & 0xFFFF).to_bytes(2, "big")
        return head + self._mac(head)

    def is_fresh(self, nonce: bytes, boot_us: int) -> bool:
        """Whether this process issued the nonce within the last two minutes and it is still unused."""
        if len(nonce) != 16 or not hmac.compare_digest(nonce[8:], self._mac(nonce[:8])):
            return False
        age_us = boot_us - int.from_bytes(nonce[:6], "big") * 1000
        return 0 <= age_us < NONCE_US and nonce not in self._used

    def use(self, nonce: bytes, boot_us: int) -> None:
        """Mark the nonce as used."""
        self._used = {one: at for one, at in self._used.items() if boot_us - at < NONCE_US}
        self._used[nonce] = boot_us

    def take(self, nonce: bytes, boot_us: int) -> bool:
        """Whether the nonce is fresh; marks it as used."""
        fresh = self.is_fresh(nonce, boot_us)
        if fresh:
            self.use(nonce, boot_us)
        return fresh

    def _mac(self, head: bytes) -> bytes:
        return hmac.digest(self._key, head, hashlib.sha256)[:8]


def normal_role(role: str) -> str:
    """A role in the roster's spelling."""
    name = role.strip().lower().replace(" ", "-").replace("_", "-")
    return ALIASES.get(name, name)


def prove(
    roster: Roster, request: Request, proof: Proof | None, *, log_id: bytes, fresh: bool, locked: bool
) -> RosterPerson:
    """Prove the requester. Raises RefusedError, with the same message for an unknown user and a wrong key."""
    if locked:
        raise RefusedError("locked: five failed logins within 15 minutes", clause="CJIS AC-7", cure="wait")
    if not roster.people:  # not a wrong credential, so it counts toward no lockout
        raise RefusedError(
            "the department's roster is not on this unit yet",
            clause="463.3",
            cure="reader sync now",
        )
    person = roster.person(request.user)
    if proof is None or not fresh:
        raise RefusedError(BAD_CREDENTIAL, clause="463.3", cure="give a credential: a key file or a password")
    if person is None or not _holds(person, request, proof, log_id):
        raise RefusedError(BAD_CREDENTIAL, clause="463.3", cure="see the roster for users and their keys")
    return person


def _holds(person: RosterPerson, request: Request, proof: Proof, log_id: bytes) -> bool:
    if proof.password is not None:
        return password_holds(person, proof.password)
    message = challenge(log_id, proof.nonce, request)
    for blob in person.ssh_keys:
        try:
            ssh_signature.verify(proof.signature or b"", message, SshPublicKey(blob), namespace=NAMESPACE)
        except SshSignatureError:
            continue
        return True
    return False


def demand_here(request: Request, policy: CustodyPolicy, *, enrolled: bool) -> None:
    """Check that the policy allows this action on this unit at all. Raises RefusedError."""
    if enrolled and request.action != "audit" and not policy.local_query:
        raise RefusedError(
            "this unit belongs to a department, whose policy lets it answer no lookup itself",
            clause="463.5 (c)",
            cure="ask at the department: the desk's page Search, or department inquiry run",
        )


def permit(person: RosterPerson, request: Request, policy: CustodyPolicy, *, now_us: int) -> None:
    """Check that a proven person may do this. Raises RefusedError with the clause that refuses."""
    role = request.role
    if person.revoked:
        raise RefusedError("this user's access was revoked", clause="463.3")
    if role not in ROLES or role not in person.roles:
        raise RefusedError(f"the roster gives this user no role {role!r}", clause="463.3")
    if role == "vendor":
        raise RefusedError("vendors have access for maintenance and repair only", clause="463.3")
    allowed, clause = {
        "query": (policy.inquiry_roles, "463.5 (c)"),
        "audit": (policy.audit_roles, "463.5 (c)"),
        "hold": (policy.hold_roles, "463.8"),
        "release": (policy.hold_roles, "463.8"),
        "export": (policy.hold_roles, "463.8"),
    }.get(request.action, ((), "463.3"))
    if role not in allowed:
        raise RefusedError(f"role {role!r} may not {request.action}; {_list(allowed)} may", clause=clause)
    _demand_training(person, policy, now_us)
    if request.action == "audit":
        return
    purposes = tuple(one.id for one in policy.purposes)
    if policy.purpose(request.purpose) not in purposes:
        raise RefusedError(f"needs a purpose: one of {_list(purposes)}", clause="463.2")
    if not policy.is_case_number(request.case_number):
        raise RefusedError(
            "needs a basis with its number",
            clause="463.5 (a)",
            cure="give the number of the case as the policy writes it, e.g. --case 26-1042",
        )


def at_one_of(moments_us: Iterable[int], check: Callable[[int], None]) -> None:
    """Run a permission check at each moment that may be the present (TrustedTime.perhaps_us); one pass is
    enough.

    Raises the RefusedError of the last moment.
    """
    refusal: RefusedError | None = None
    for now_us in moments_us:
        try:
            return check(now_us)
        except RefusedError as error:
            refusal = error
    if refusal is not None:
        raise refusal
    return None


ALERT_ROLES = frozenset({"sworn-officer", "dispatcher", "communications", "ccat", "ccat-supervisor"})  # 463.3


def permit_alerts(person: RosterPerson, role: str, policy: CustodyPolicy, *, now_us: int) -> None:
    """Check that a proven person may work on alerts (463.3, 463.7). Raises RefusedError."""
    if person.revoked:
        raise RefusedError("this user's access was revoked", clause="463.3")
    if role not in person.roles:
        raise RefusedError(f"the roster gives this user no role {role!r}", clause="463.3")
    if role not in ALERT_ROLES:
        raise RefusedError(f"role {role!r} may not see alerts", clause="463.3")
    _demand_training(person, policy, now_us)


def _demand_training(person: RosterPerson, policy: CustodyPolicy, now_us: int) -> None:
    if not set(policy.topics) <= set(person.topics):
        raise RefusedError("training does not cover every topic of the policy", clause="463.9")
    if now_us < person.trained_us:
        raise RefusedError(
            "training is not current: this unit's clock is before its date",
            clause="463.9",
            cure="set the clock: a network with time, a receiver, or a technician",
        )
    if now_us >= person.trained_us + policy.training_days * DAY_US:
        raise RefusedError(
            "training is not current by this unit's time",
            clause="463.9",
            cure="the CCAT supervisor trains yearly; is the unit's clock right? reader status",
        )


def demand_ground(policy: CustodyPolicy, ground: str, authority: str, number: str) -> None:
    """Check a hold's ground, authority and number. Raises RefusedError."""
    grounds = tuple(one.id for one in policy.grounds)
    if ground not in grounds:
        raise RefusedError(f"a hold needs one of the grounds {_list(grounds)}", clause="463.8")
    if not authority.strip() or not number.strip():
        raise RefusedError("a hold needs an authority and its number", clause="463.8")


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
