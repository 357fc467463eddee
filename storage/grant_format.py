"""The signed maintenance grant: who may give which commands to which units, and when. No I/O.

A grant is COSE_Sign1 over canonical CBOR by the administrator's command key, or by a designee whose key the
command key vouches for. A technician's standing credential is a grant with a longer life. Opening raises:

GrantError
├── ForgedGrantError      no authorized signer made the signature, or the bytes are malformed
├── GrantLimitError       the grant allows more than its role, or a designee, can allow
├── GrantTimeError        it has not begun or has ended
├── WrongUnitError        it names other units
└── RevokedGrantError     the department revoked it, or its holder left the roster
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.codec import from_bytes, omitted, to_bytes
from storage.envelope import key_id, open_signed, sign, split
from storage.errors import RecordError, StorageError
from storage.ssh_signature import SshPublicKey, SshSignatureError
from storage.times import DAY_US, HOUR_US, utc_text

FORMAT, NAMES_LOG = 1, 2  # of a grant; a grant that names a log has the second
MAX_BYTES = 16 * 1024
GRANT_CONTEXT = b"alpr maintenance grant v1"
DELEGATION_CONTEXT = b"alpr grant delegation v1"
DEPARTMENT = "department"  # in place of a unit: the department's own server
REVOCATIONS = "revocations"  # the document of revoked grants

TECHNICIAN_LIMIT_US = 366 * DAY_US  # training is yearly: policy 463.9
VENDOR_LIMIT_US = (
    14 * DAY_US
)  # one job: policy 463.3 gives vendors maintenance and repair, no standing access
DESIGNEE_LIMIT_US = 4 * HOUR_US  # a repair at night

COMMANDS = frozenset({
    "status", "aim", "camera", "network", "time", "storage", "sync", "selftest", "logs", "update", "reboot",
    "factory-reset",
})  # fmt: skip
TWO_PERSON_COMMANDS = frozenset({"factory-reset", "update"})
"""Destroy what the unit holds, or replace the software that keeps it: two people give them."""
REPAIR_COMMANDS = COMMANDS - TWO_PERSON_COMMANDS
WITHOUT_RESET = COMMANDS - {"factory-reset"}
"""The most that a grant of an earlier form gives by one person's word."""
_ID = re.compile(r"[0-9a-f]{32}")
LOG_DIGITS = 16  # of a log's id, which is a hash: no one can find a key whose log has the same digits
_LOG = re.compile(rf"[0-9a-f]{{{LOG_DIGITS},64}}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class GrantError(StorageError):
    """Base of every refusal of a grant."""


class ForgedGrantError(GrantError):
    """Not a grant, or not signed by anyone who may sign grants."""


class GrantLimitError(GrantError):
    """The grant exceeds a limit."""


class GrantTimeError(GrantError):
    """The grant is not valid now."""


class WrongUnitError(GrantError):
    """The grant names other units."""


class RevokedGrantError(GrantError):
    """The grant was revoked."""


class GrantRole(StrEnum):
    """Roles that may open a console."""

    TECHNICIAN = "technician"
    VENDOR = "vendor"


DEFAULT_LIFE_US = {GrantRole.TECHNICIAN: 365 * DAY_US, GrantRole.VENDOR: 8 * HOUR_US}


LIMIT_US = {GrantRole.TECHNICIAN: TECHNICIAN_LIMIT_US, GrantRole.VENDOR: VENDOR_LIMIT_US}


def format_of(destroy_log: str) -> int:
    """The format of a grant that names this log, or none."""
    return NAMES_LOG if destroy_log else FORMAT


def takes_two_people(commands: Iterable[str]) -> bool:
    """Whether granting these commands needs a second person."""
    return not TWO_PERSON_COMMANDS.isdisjoint(commands)


def latest_us(role: GrantRole, from_us: int, hours: int | None, to_us: int) -> int:
    """When a grant ends at the latest: after `hours`, but not after `to_us`.

    `hours` None (-1 in the forms of older logs) and `to_us` -1: not given.
    """
    if hours is None or hours < 0:
        return to_us if to_us >= 0 else from_us + DEFAULT_LIFE_US[role]
    ends_us = from_us + hours * HOUR_US
    return min(ends_us, to_us) if to_us >= 0 else ends_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The signed content. Times: us UTC. holder_key: SSH public key, binary form.

    destroy_up_to, destroy_holds: unacknowledged reads (by log size) and holds that a factory reset with this
    grant may destroy; a reset is refused if there are others. destroy_log: the first digits (hexadecimal) of
    the id of the only log that it may end; empty in a grant of format 1, whose numbers are of a log that was
    open when it was issued.
    """

    format: int
    grant_id: str
    person: str
    organisation: str
    role: GrantRole
    holder_key: bytes
    purpose: str
    work_order: str
    units: tuple[str, ...]
    commands: tuple[str, ...]
    issued_us: int
    from_us: int
    to_us: int
    destroy_up_to: int
    destroy_holds: tuple[int, ...]
    destroy_log: str = omitted("")

    def check(self) -> None:
        """Raise RecordError for a field out of range, GrantLimitError for one that allows too much."""
        self._check_fields()
        self._check_limits()

    def _check_fields(self) -> None:
        if self.format != format_of(self.destroy_log):
            raise RecordError(f"is {self.format}, known are {FORMAT} and {NAMES_LOG}", where="Grant.format")
        if self.destroy_log and not _LOG.fullmatch(self.destroy_log):
            raise RecordError(f"must be {LOG_DIGITS} to 64 hexadecimal digits", where="Grant.destroy_log")
        if not _ID.fullmatch(self.grant_id):
            raise RecordError("must be 32 hexadecimal digits", where="Grant.grant_id")
        for name, value in (("person", self.person), *(("units", unit) for unit in self.units)):
            if not _NAME.fullmatch(value):
                raise RecordError("must be letters, digits and ._@-", where=f"Grant.{name}")
        texts = (
            ("organisation", self.organisation),
            ("purpose", self.purpose),
            ("work_order", self.work_order),
        )
        for name, value in texts:
            if not 1 <= len(value) <= 120 or not value.isprintable():
                raise RecordError("must be 1 to 120 printable characters", where=f"Grant.{name}")
        if not 1 <= len(self.units) <= 500:
            raise RecordError("must name 1 to 500", where="Grant.units")
        if len(self.destroy_holds) > 500:
            raise RecordError("must name at most 500", where="Grant.destroy_holds")
        if self.destroy_up_to < 0:
            raise RecordError("must not be negative", where="Grant.destroy_up_to")
        if not self.issued_us > 0 or not self.from_us < self.to_us:
            raise RecordError("must be after the beginning", where="Grant.to_us")
        try:
            SshPublicKey.from_blob(self.holder_key)
        except SshSignatureError as error:
            raise RecordError(error.what, where="Grant.holder_key") from None

    def _check_limits(self) -> None:
        limit_us = LIMIT_US[self.role]
        if self.to_us - self.from_us > limit_us:
            raise GrantLimitError(
                f"a {self.role} grant lasts at most {limit_us // DAY_US} days", where="Grant.to_us"
            )
        unknown = set(self.commands) - COMMANDS
        if not self.commands or unknown:
            raise GrantLimitError(
                f"no console command: {', '.join(sorted(unknown)) or 'none given'}", where="Grant.commands"
            )
        if (self.destroy_up_to or self.destroy_holds) and "factory-reset" not in self.commands:
            raise GrantLimitError("names reads to destroy without factory-reset", where="Grant.destroy_up_to")
        if self.destroy_log and "factory-reset" not in self.commands:
            raise GrantLimitError("names a log to end without factory-reset", where="Grant.destroy_log")

    @property
    def holder(self) -> SshPublicKey:
        """The public key that must answer the challenge."""
        return SshPublicKey(self.holder_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """The command key's statement that a designee's key may sign repair grants for a time."""

    format: int
    designee: str
    public_key: bytes
    from_us: int
    to_us: int

    def check(self) -> None:
        """Raise RecordError for a field out of range."""
        if self.format != FORMAT or len(self.public_key) != 32 or not _NAME.fullmatch(self.designee):
            raise RecordError("format, name or key malformed", where="Delegation")
        if not self.from_us < self.to_us:
            raise RecordError("must run forward", where="Delegation.from_us, to_us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The file that the holder carries: the signed grant, and the delegation if a designee signed it."""

    grant: bytes
    delegation: bytes | None

    @classmethod
    def parse(cls, data: bytes) -> Bundle:
        """Parse a grant file. Raises ForgedGrantError."""
        try:
            return from_bytes(cls, data, limit=MAX_BYTES)
        except StorageError as error:
            raise ForgedGrantError(f"not a grant file: {error.what}", cure="ask for it again") from None

    def to_bytes(self) -> bytes:
        """The grant file's content."""
        return to_bytes(self)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file's content, to which an answer to a challenge is bound."""
        return hashlib.sha256(self.to_bytes()).digest()


def issue(grant: Grant, key: Ed25519PrivateKey, *, delegation: bytes | None = None) -> Bundle:
    """Sign a grant with the command key, or with a designee's key and the delegation for it.

    Raises RecordError, GrantLimitError before anything is signed.
    """
    grant.check()
    if delegation is not None:
        check_repair_limits(grant)
    return Bundle(grant=sign(to_bytes(grant), key, context=GRANT_CONTEXT), delegation=delegation)


def delegate(delegation: Delegation, command_key: Ed25519PrivateKey) -> bytes:
    """Sign a designee's delegation."""
    delegation.check()
    return sign(to_bytes(delegation), command_key, context=DELEGATION_CONTEXT)


def check_reset_units(grant: Grant) -> None:
    """Raise GrantLimitError for a new grant that allows a factory reset at the server."""
    if DEPARTMENT in grant.units and "factory-reset" in grant.commands:
        raise GrantLimitError(
            "the department's server has no factory-reset",
            where="Grant.units",
            cure="name the units to reset and no server, or leave factory-reset out",
        )


def check_repair_limits(grant: Grant) -> None:
    """Check a designee's grant: at most four hours, repair commands only. Raises GrantLimitError."""
    if grant.to_us - grant.from_us > DESIGNEE_LIMIT_US:
        raise GrantLimitError("a designee's grant lasts at most 4 hours", where="Grant.to_us")
    if not set(grant.commands) <= REPAIR_COMMANDS:
        raise GrantLimitError("a designee grants no update and no factory-reset", where="Grant.commands")


def open_bundle(bundle: Bundle, command_keys: Sequence[Ed25519PublicKey]) -> Grant:
    """Check a grant's signature and limits, and return it; the caller checks its time, unit and holder.

    Raises ForgedGrantError, GrantLimitError.
    """
    try:
        if bundle.delegation is None:
            signers = list(command_keys)
            lent: Delegation | None = None
        else:
            payload = _opened(bundle.delegation, command_keys, DELEGATION_CONTEXT)
            lent = from_bytes(Delegation, payload, limit=MAX_BYTES)
            signers = [Ed25519PublicKey.from_public_bytes(lent.public_key)]
        grant = from_bytes(Grant, _opened(bundle.grant, signers, GRANT_CONTEXT), limit=MAX_BYTES)
    except GrantError:
        raise
    except StorageError as error:
        raise ForgedGrantError(error.what, where=error.where) from None
    if lent is not None:
        check_repair_limits(grant)
        if not (
            lent.from_us <= grant.issued_us <= lent.to_us and grant.to_us <= lent.to_us + DESIGNEE_LIMIT_US
        ):
            raise GrantLimitError("signed outside the designee's own time", where="Grant.issued_us")
    return grant


def check_unit(grant: Grant, unit: str) -> None:
    """Raise WrongUnitError unless the grant names this unit."""
    if unit not in grant.units:
        raise WrongUnitError(f"this is {unit}; the grant names {', '.join(grant.units[:5])}")


def check_time(grant: Grant, now_us: int, error_us: int) -> None:
    """Raise GrantTimeError before the grant begins or after it ends.

    An uncertain clock never lengthens a grant: it ends by the clock's later bound. If the clock's error is a
    day or more, the end cannot be determined, and the caller limits the grant by running time. The present is
    never earlier than the signed time of issue, whatever the unit's clock shows.
    """
    now_us = max(now_us, grant.issued_us)
    if now_us + error_us < grant.from_us:
        begins = utc_text(grant.from_us, to="minute")
        raise GrantTimeError(f"the grant begins at {begins}", cure="check the unit's clock with: time")
    if now_us > grant.to_us:
        raise GrantTimeError("the grant has ended", cure="ask the administrator for a new one")
    if error_us < DAY_US and now_us + error_us > grant.to_us:
        raise GrantTimeError(
            f"the grant may have ended: this clock is only certain to within {error_us / 3.6e9:.1f} h",
            cure="give the unit GPS or network time, or ask for a longer grant",
        )


def revocable(bundle: Bundle, grant: Grant) -> frozenset[str]:
    """The names by which an opened grant can be revoked: its id, its holder, the holder's key and, if a
    designee signed it, the designee and the designee's key.
    """
    names = {grant.grant_id, grant.holder.fingerprint, grant.person}
    if bundle.delegation is not None:
        lent = from_bytes(Delegation, split(bundle.delegation, limit=MAX_BYTES)[1], limit=MAX_BYTES)
        signer = Ed25519PublicKey.from_public_bytes(lent.public_key)
        names |= {lent.designee, SshPublicKey.of_ed25519(signer).fingerprint}
    return frozenset(names)


def check_not_revoked(names: Iterable[str], revoked: Iterable[str]) -> None:
    """Raise RevokedGrantError if one of `names` (from `revocable`) is revoked.

    revoked: grant ids, key fingerprints and persons.
    """
    if set(names) & set(revoked):
        raise RevokedGrantError("the grant was revoked, or its holder or signer left the roster")


def _opened(message: bytes, keys: Sequence[Ed25519PublicKey], context: bytes) -> bytes:
    kid = split(message, limit=MAX_BYTES)[3]
    for key in keys:
        if key_id(key) == kid:
            return open_signed(message, key, context=context, limit=MAX_BYTES)
    raise ForgedGrantError("not signed by a key that may sign grants")
