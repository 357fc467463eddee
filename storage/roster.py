"""Who may ask, and how they prove it: people with roles, credentials and training. No I/O.

A department signs the roster and sends it in advance; a home without a department has a demo roster, and
every record made with it says so. Passwords are PBKDF2-HMAC-SHA256 verifiers (SP 800-132).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.errors import RecordError
from storage.ids import TERM_ID
from storage.policy import ROLES, TRAINING_TOPICS
from storage.ssh_signature import SshPublicKey

PBKDF2_ROUNDS = 600_000  # OWASP's figure for HMAC-SHA-256
USER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
DEMO_PEOPLE = {
    "demo-supervisor": ("ccat-supervisor",),
    "demo-dispatcher": ("dispatcher", "communications"),
    "demo-officer": ("sworn-officer",),
    "demo-analyst": ("ccat",),
    "demo-admin": ("administrator",),
    "demo-designee": ("designee",),
    "demo-reviewer": ("reviewer",),
    "demo-vendor": ("vendor",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterPerson:
    """One entry. `ssh_keys`: public keys in SSH's binary form; `password`: salt (16) || hash (32)."""

    user: str
    roles: tuple[str, ...]
    organisation: str
    ssh_keys: tuple[bytes, ...]
    password: bytes | None = field(repr=False)
    trained_us: int
    topics: tuple[str, ...]
    trainer: str
    revoked: bool

    def check(self) -> None:
        if not USER_NAME.fullmatch(self.user):
            raise RecordError("must be lower-case letters, digits and . _ -", where="roster.user")
        if not self.roles or not set(self.roles) <= set(ROLES):
            raise RecordError(f"must be among {', '.join(ROLES)}", where=f"roster.{self.user}.roles")
        if not all(map(TERM_ID.fullmatch, self.topics)):
            raise RecordError("must be topics of training (463.9)", where=f"roster.{self.user}.topics")
        if self.password is not None and len(self.password) != 48:
            raise RecordError("is malformed", where=f"roster.{self.user}.password")
        for blob in self.ssh_keys:
            SshPublicKey.from_blob(blob)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """All people of one department's roster; `version` only rises."""

    version: int
    demo: bool
    people: tuple[RosterPerson, ...]

    def check(self) -> None:
        names = [person.user for person in self.people]
        if len(set(names)) != len(names):
            raise RecordError("names a person twice", where="roster")

    def person(self, user: str) -> RosterPerson | None:
        return next((one for one in self.people if one.user == user), None)


def password_verifier(password: str, salt: bytes | None = None) -> bytes:
    """salt || PBKDF2-HMAC-SHA256 of a password."""
    salt = os.urandom(16) if salt is None else salt
    return salt + hashlib.pbkdf2_hmac("sha256", password.encode(), salt, PBKDF2_ROUNDS)


def password_holds(person: RosterPerson, password: str) -> bool:
    """Whether this is the person's password; takes as long for a person without one."""
    known = person.password or bytes(48)
    same = hmac.compare_digest(password_verifier(password, known[:16]), known)
    return same and person.password is not None


def demo_roster(now_us: int) -> tuple[Roster, dict[str, Ed25519PrivateKey]]:
    """The roster of a home without a department, with its people's private keys."""
    keys = {user: Ed25519PrivateKey.generate() for user in DEMO_PEOPLE}
    people = tuple(
        RosterPerson(
            user=user,
            roles=roles,
            organisation="demo",
            ssh_keys=(SshPublicKey.of(keys[user]).blob,),
            password=None,
            trained_us=now_us,
            topics=TRAINING_TOPICS,
            trainer="demo-supervisor",
            revoked=False,
        )
        for user, roles in DEMO_PEOPLE.items()
    )
    return Roster(version=0, demo=True, people=people), keys
