"""An administrator named by two of the three offices: the way back in when nobody is left who can log on.

A statement is deterministic CBOR {"statement": ..., "signatures": [COSE_Sign1 over its SHA-256]} by the
root's keys. It names the root in force and the size of the log when it was drafted, and holds once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import envelope
from storage.codec import from_bytes, to_bytes
from storage.errors import RecordError, SignatureError, StorageError
from sync.department.desk.desk import Desk
from sync.department.desk.people import rules as people
from sync.department.desk.people.calls import HandedOver
from sync.department.journal.entries import AccountSet
from sync.department.journal.machine_entries import AdministratorNamed
from sync.department.policy.roles import Role
from sync.root_file import THRESHOLD, Root

CONTEXT = b"alpr-department/administrator/v1"
MAX_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Who is to be the administrator, under which root, of a log that had `log_size` entries then."""

    department: str
    user: str
    name: str
    root: bytes
    log_size: int

    def digest(self) -> bytes:
        """What the offices sign."""
        return hashlib.sha256(to_bytes(self)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    statement: bytes
    signatures: tuple[bytes, ...]


def draft(desk: Desk, user: str, name: str) -> bytes:
    """An unsigned statement. Raises FormError for a name that is none."""
    account = _account(desk, user, name)
    people.check_account(desk.policy, account)
    made = Statement(
        department=desk.root.department,
        user=user,
        name=account.name,
        root=desk.root.digest(),
        log_size=desk.log.size(),
    )
    return to_bytes(_File(statement=to_bytes(made), signatures=()))


def parse(data: bytes) -> tuple[Statement, tuple[bytes, ...]]:
    """(the statement, its signatures). Raises StorageError kinds."""
    file = from_bytes(_File, data, limit=MAX_BYTES)
    return from_bytes(Statement, file.statement, limit=MAX_BYTES), file.signatures


def is_statement(data: bytes) -> bool:
    """Whether a file is such a statement, and no root file."""
    try:
        parse(data)
    except StorageError:
        return False
    return True


def add_signature(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """The same file with one more office's signature; signing twice changes nothing."""
    statement, signatures = parse(data)
    kid = envelope.key_id(key.public_key())
    kept = tuple(one for one in signatures if envelope.split(one)[3] != kid)
    signed = envelope.sign(statement.digest(), key, context=CONTEXT)
    return to_bytes(_File(statement=to_bytes(statement), signatures=(*kept, signed)))


def signers(root: Root, statement: Statement, signatures: Sequence[bytes]) -> list[str]:
    """The offices whose signature holds, each once."""
    found = []
    for key in root.keys:
        public = Ed25519PublicKey.from_public_bytes(key.public)
        for one in signatures:
            try:
                if envelope.open_signed(one, public, context=CONTEXT) == statement.digest():
                    found.append(key.holder)
                    break
            except StorageError:
                continue
    return found


def name_administrator(desk: Desk, data: bytes) -> HandedOver:
    """Put a signed statement in force: the account, and a first password for it.

    The administrator of before keeps no such role. Raises SignatureError, RecordError.
    """
    statement, signatures = parse(data)
    offices = signers(desk.root, statement, signatures)
    if len(offices) < THRESHOLD:
        raise SignatureError(
            f"signed by {', '.join(offices) or 'no office'}: {THRESHOLD} of the three must sign",
            where="statement",
            cure="department keys sign, at another office",
        )
    desk.refresh()
    if statement.root != desk.root.digest() or statement.department != desk.root.department:
        raise RecordError("names another root file than the one in force", where="statement")
    if any(
        isinstance(one.note, AdministratorNamed)
        for one in desk.log.entries(statement.log_size, kinds=(AdministratorNamed.KIND,))
    ):
        raise RecordError("an administrator was named since", where="statement", cure="draft it anew")
    notes = [AdministratorNamed(user=statement.user, statement=data)]
    before = [
        replace(
            account,
            roles=tuple(role for role in account.roles if role is not Role.ADMINISTRATOR),
            active=account.roles != (Role.ADMINISTRATOR,),
            reason=f"{statement.user} was named administrator by {', '.join(offices)}",
        )
        for account in desk.book.roster.accounts.values()
        if account.active and Role.ADMINISTRATOR in account.roles and account.user != statement.user
    ]
    entries = desk.system(*notes, *before, _account(desk, statement.user, statement.name))
    password = people.one_time_password()
    credential = people.new_credential(
        desk.policy.security, statement.user, password, entries[-1].stamp.at_us, first=True
    )
    desk.set_credential(credential, entries[-1].stamp)
    desk.try_cover(desk.log.size() - 1)
    uri = people.totp_uri(credential, desk.policy.department)
    return HandedOver(user=statement.user, password=password, totp_uri=uri)


def _account(desk: Desk, user: str, name: str) -> AccountSet:
    """The account as it shall be: the administrator's role, beside those that fit with it."""
    known = desk.book.roster.accounts.get(user)
    return AccountSet(
        user=user,
        name=name or (known.name if known else user),
        organisation=known.organisation if known else desk.policy.department,
        roles=(Role.ADMINISTRATOR,),
        shift=known.shift if known else None,
        active=True,
        reason="named by two of the three offices",
        ssh_keys=known.ssh_keys if known else (),
    )
