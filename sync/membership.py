"""What a unit keeps in HOME/sync: its keys (0600), its certificate, and the department that it trusts.

unit.key    the unit key (P-256), where no chip holds it    member.cbor  department, addresses, keys
unit.chip   instead: the public half of the chip's key      inbox/       signed documents as they came
tls.key     the TLS key (P-256), where there is no chip     status.json  how the last attempts went
tls.sealed  instead: sealed by the chip                     tls.pem      the certificate, renewed in time

A key that the chip sealed is opened only in memory (an anonymous tmpfs file), while OpenSSL reads it.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import codec, files
from storage.clock_trust import boot_id, boottime_us
from storage.department_word import boot_number
from storage.errors import NotOwnerError, NotPlainError, StorageError
from storage.times import DAY_US, SECOND_US, day_text, now_us
from sync import status_file
from sync.errors import NotEnrolledError
from sync.vouch import FileUnitKey, UnitKey, Vouch, public_der, sign_vouch, unit_id_of

RENEW_BEFORE_DAYS = 30
SCALAR_BYTES = 32
MAX_MEMBER_BYTES = 256 * 1024
MAX_KEY_BYTES = 64 * 1024  # a key, a certificate, status.json
BOOT, RAN = "succeeded_boot", "succeeded_ran_s"
STATUS_WORDS = frozenset({"outcome", "what", "waiting_for"})  # everything else in status.json is a number
UNIT_KEY_CURE = (
    "restore it from its backup; if it is lost for good, deliver (reader sync now), then make a new home and "
    "enroll that as a new unit"
)
NEW_CODE = "ask the department for a new code, then: reader enroll CODE (nothing is lost)"
LAST_TIME_US = 253_402_300_800_000_000


class Chip(UnitKey, Protocol):
    """A unit key in a chip that can also seal small secrets. The hardware room has the drivers."""

    def seal(self, secret: bytes) -> bytes:
        """Seal a secret so that only this chip can open it."""

    def unseal(self, sealed: bytes) -> bytes:
        """Open a sealed secret."""


def page_host(unit_id: str) -> str:
    """The host name of a unit's page in the car, in its certificate (RFC 6762: local link)."""
    return f"unit-{unit_id}.local"


def unit_of_page(host: str) -> str:
    """The unit's id in such a host name; empty for any other name."""
    found = re.fullmatch(r"unit-([0-9a-f]{32})\.local", host)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The department that this unit belongs to. Keys are raw Ed25519 bytes; `authority` is DER."""

    department: str
    unit_id: str
    name: str
    unit_address: str
    front_address: str
    department_key: bytes
    command_key: bytes
    authority: bytes = field(repr=False)
    root: bytes = field(repr=False)

    def department_public(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.department_key)

    def command_public(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.command_key)

    def authority_pem(self) -> bytes:
        certificate = x509.load_der_x509_certificate(self.authority)
        return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """HOME/sync. `chip`: holds the unit's keys; None if they are in files of this folder."""

    path: Path
    chip: Chip | None = None

    @classmethod
    def of(cls, home: Path, chip: Chip | None = None) -> SyncFolder:
        return cls(home / "sync", chip)

    def make(self) -> None:
        """Make the folder durably: a power cut after an enrollment must not lose its name."""
        files.make_dirs(self.path)

    @property
    def tls_key(self) -> Path:
        return self.path / "tls.key"

    @property
    def certificate(self) -> Path:
        return self.path / "tls.pem"

    @property
    def inbox(self) -> Path:
        return self.path / "inbox"

    @property
    def wanted(self) -> Path:
        """The file that is touched to ask a running reader for a conversation now."""
        return self.path / "wanted"

    def is_member(self) -> bool:
        """Whether there is a membership; True if it is unreadable, so that it is never replaced."""
        try:
            return (self.path / "member.cbor").exists()
        except OSError:
            return True

    def lost_membership(self) -> bool:
        """Whether this unit was enrolled but its membership is gone.

        The certificate is written before member.cbor, so a power cut in the first enrollment looks the same
        and has the same cure.
        """
        return self.certificate.exists() and not self.is_member()

    def member(self) -> Member:
        """Raises NotEnrolledError."""
        path = self.path / "member.cbor"
        try:
            files.demand_own(path, home=self.path.parent)
            return codec.from_bytes(Member, files.read_bounded(path, MAX_MEMBER_BYTES))
        except FileNotFoundError:
            if self.lost_membership():
                raise NotEnrolledError(
                    f"is gone, and this unit was enrolled ({self.certificate.name} is here)",
                    where=str(path),
                    cure="restore it from its backup, or enroll again: reader enroll CODE",
                ) from None
            raise NotEnrolledError(
                "this unit belongs to no department",
                where=str(self.path.parent),
                cure="run: reader enroll CODE",
            ) from None
        except (NotPlainError, NotOwnerError) as error:
            raise NotEnrolledError(error.what, where=str(path), cure=error.cure) from None
        except OSError as error:
            cure = files.own_cure(self.path, home=self.path.parent, is_folder=True)
            if files.is_of_card(error):
                cure = files.CARD_FAILS
            elif isinstance(error, NotADirectoryError):
                cure = f"{self.path} is where a folder belongs: move it away, and put the folder back"
            why = error.strerror or type(error).__name__
            raise NotEnrolledError(f"cannot be read: {why}", where=str(path), cure=cure) from None
        except StorageError as error:
            raise NotEnrolledError(f"is damaged: {error}", where=str(path), cure="enroll again") from None

    def save_member(self, member: Member) -> None:
        files.replace(self.path / "member.cbor", codec.to_bytes(member))

    def unit_key(self) -> UnitKey:
        """The unit key; made at first use, in the chip if there is one.

        Raises NotEnrolledError if it was in another chip, or in a file that is gone: the department knows
        this unit and its log only by that key.
        """
        chip, path = self._chip(), self.path / "unit.key"
        if chip is None:
            if not path.exists() and self.is_member():
                raise NotEnrolledError("the unit's key is gone", where=str(path), cure=UNIT_KEY_CURE)
            return self._own(FileUnitKey(_p256_key(path)), path)
        mark, public = self.path / "unit.chip", chip.public_der()
        if not mark.exists():
            self._own(chip, mark)
            files.replace(mark, public)
        if not hmac.compare_digest(files.read_bounded(mark, MAX_KEY_BYTES), public):
            raise NotEnrolledError("the chip holds another unit's key", where=str(mark), cure="enroll again")
        return chip

    def _own(self, key: UnitKey, where: Path) -> UnitKey:
        """Returns the key if it is the one that the department enrolled. Raises NotEnrolledError."""
        if self.is_member() and self.member().unit_id != unit_id_of(key.public_der()):
            raise NotEnrolledError("is another unit's key", where=str(where), cure=UNIT_KEY_CURE)
        return key

    def _chip(self) -> Chip | None:
        """The chip, unless this unit was enrolled before it had one."""
        if (self.path / "unit.key").exists():
            return None
        if self.chip is None and (self.path / "unit.chip").exists():
            raise NotEnrolledError(
                "the unit's key is in a chip that is not here",
                where=str(self.path),
                cure="put the card back into its unit, or remove sync/ and enroll again",
            )
        return self.chip

    def tls_private(self) -> ec.EllipticCurvePrivateKey:
        """The TLS key; made at first use, and sealed by the chip if there is one."""
        chip = self._chip()
        if chip is None:
            return _p256_key(self.tls_key)
        sealed = self.path / "tls.sealed"
        if not sealed.exists():
            fresh = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
            files.replace(sealed, chip.seal(fresh.to_bytes(SCALAR_BYTES, "big")))
        opened = chip.unseal(files.read_bounded(sealed, MAX_KEY_BYTES))
        return ec.derive_private_key(int.from_bytes(opened, "big"), ec.SECP256R1())

    @contextlib.contextmanager
    def tls_key_file(self) -> Iterator[Path]:
        """A file with the TLS key for OpenSSL: on disk, or in memory for the duration of this block."""
        if self._chip() is None:
            yield self.tls_key
            return
        descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)  # anonymous, on tmpfs: gone with its descriptor
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(_pem(self.tls_private()))
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)

    def save_certificate(self, der: bytes) -> None:
        pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
        files.replace(self.certificate, pem)

    def certificate_days_left(self, at_us: int) -> int:
        """Days until the certificate expires; negative once it has."""
        certificate = x509.load_pem_x509_certificate(files.read_bounded(self.certificate, MAX_KEY_BYTES))
        return (int(certificate.not_valid_after_utc.timestamp()) * SECOND_US - at_us) // DAY_US

    def ended_certificate(self, *, past_us: int, clock_us: int) -> str:
        """Says that the certificate has expired and what to do; empty if it has not or cannot be read.

        past_us: UTC, a time that has surely passed; 0 if none is known. clock_us: what the unit's clock
        shows, which may be wrong by years; 0 if a better time is known.
        """
        try:
            certificate = x509.load_pem_x509_certificate(files.read_bounded(self.certificate, MAX_KEY_BYTES))
        except (OSError, ValueError, StorageError):
            return ""
        end_us = int(certificate.not_valid_after_utc.timestamp()) * SECOND_US
        if max(past_us, clock_us) < end_us:
            return ""
        ended = f"this unit's certificate ended on {day_text(end_us // DAY_US)}"
        if past_us >= end_us:
            return f"{ended}: {NEW_CODE}"
        shown = day_text(clock_us // DAY_US)
        return (
            f"{ended} by its clock, which shows {shown}: if that is wrong, set the clock (`time` at the "
            f"console), then: reader sync now; if it is right, {NEW_CODE}"
        )

    def status(self) -> dict[str, Any]:
        """The last attempts, as `save_status` wrote them, without damaged values; empty before the first."""
        try:
            value = json.loads(files.read_bounded(self.path / "status.json", MAX_KEY_BYTES))
        except (OSError, ValueError, RecursionError, StorageError):
            return {}
        if not isinstance(value, dict):
            return {}
        return {name: fact for name, fact in value.items() if _sound(name, fact)}

    def save_status(self, **facts: object) -> None:
        """Write the status, without fsync: a power cut may lose it, and nothing depends on it.

        Unchanged facts are not written: a waiting unit calls this every second, for years, on one card.
        """
        before = self.status()
        if before == before | facts and (self.path / "status.json").exists():
            return
        text = json.dumps(before | facts, sort_keys=True) + "\n"
        status_file.write(self.path / "status.json", text.encode())

    def demand_status(self) -> None:
        """Raises SyncError if the outcome of a sync could not be written, and so not be shown."""
        status_file.demand(self.path / "status.json")

    def ask_sync(self) -> None:
        """Ask the running reader for a conversation now. Raises as `demand_status`, OSError."""
        self.demand_status()
        if self.wanted.is_dir():
            files.clear_place(self.wanted)
        self.wanted.touch(mode=0o600)


def success_by_running_time() -> dict[str, int]:
    """Facts of a status that say when a sync succeeded, whatever the clock is set to afterward."""
    return {BOOT: boot_number(boot_id()), RAN: boottime_us() // SECOND_US}


def ran_since_success_s(status: Mapping[str, Any]) -> float | None:
    """The running time since the last success in a status; None if the machine has restarted since."""
    boot, ran_s = boot_number(boot_id()), boottime_us() // SECOND_US
    if not boot or status.get(BOOT) != boot:
        return None
    return float(max(0, ran_s - int(status.get(RAN, 0))))


def _sound(name: str, fact: object) -> bool:
    """Whether a value of status.json is plausible: words, a count, or a time before the year 10000."""
    if name in STATUS_WORDS:
        return isinstance(fact, str)
    return type(fact) is int and 0 <= fact < LAST_TIME_US


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _p256_key(path: Path) -> ec.EllipticCurvePrivateKey:
    cure = UNIT_KEY_CURE if path.name == "unit.key" else "remove it and enroll again"
    try:
        files.demand_own(path, home=path.parent.parent)
    except (NotPlainError, NotOwnerError) as error:
        raise NotEnrolledError(error.what, where=str(path), cure=error.cure) from None
    if not path.exists():
        files.write_first(path, _pem(ec.generate_private_key(ec.SECP256R1())))
    try:
        key = serialization.load_pem_private_key(files.read_bounded(path, MAX_KEY_BYTES), password=None)
    except (OSError, ValueError, TypeError, StorageError) as error:
        why = error.strerror if isinstance(error, OSError) else getattr(error, "what", "is not a key in PEM")
        cure = files.CARD_FAILS if files.is_of_card(error) else cure  # the key is there still
        raise NotEnrolledError(f"cannot be read: {why}", where=str(path), cure=cure) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NotEnrolledError("is not a P-256 key", where=str(path), cure=cure)
    return key


def make_vouch(
    folder: SyncFolder,
    unit: UnitKey,
    log_public: bytes,
    *,
    previous: str | None = None,
    reason: str | None = None,
) -> bytes:
    """Sign the log key and the TLS key with the unit key; for a log that replaces another, which and why."""
    vouch = Vouch(
        unit=unit.public_der(),
        log_public=log_public,
        tls_public=public_der(folder.tls_private().public_key()),
        at_us=now_us(),
        previous=previous,
        reason=reason,
    )
    return sign_vouch(vouch, unit)
