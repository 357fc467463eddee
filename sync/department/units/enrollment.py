"""Enrollment at the department: one-time codes, new units, new logs, renewed certificates, revocation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.errors import EnvelopeError, RecordError
from storage.leaf import log_id_of
from storage.times import HOUR_US
from sync import messages
from sync.department.ground.settings import Settings
from sync.department.journal.unit_logs import WAS
from sync.department.store import incidents, unit_health, unit_logs
from sync.department.store.database import Store
from sync.department.store.tables import certificates, codes, units
from sync.department.units import documents
from sync.department.units.authority import Authority
from sync.enrollment_code import EnrollmentCode
from sync.errors import InvalidInputError, MessageError, refuse
from sync.root_file import describe
from sync.vouch import Vouch, open_vouch, unit_id_of

log_events = structlog.get_logger("department.enroll")
TAKEN = "a unit of that name is enrolled already: ask for a code under another name, or have it revoked first"
REVOKED = "this unit was revoked: enroll it again"
COPIED = (
    "another unit vouched for this log: this home is a copy of its card; make a home of this unit's own in "
    "an empty folder (reader init), and ask for a new code"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledUnit:
    """A unit in a list. `reset_us`: when the receipt of its reset came, if it has had no log since."""

    unit_id: str
    name: str
    enrolled_us: int
    seen_us: int | None
    revoked_us: int | None
    revoked_why: str | None
    reset_us: int | None

    @property
    def state(self) -> str:
        """One word: revoked, reset (waiting to be revoked) or enrolled."""
        if self.revoked_us is not None:
            return "revoked"
        return "enrolled" if self.reset_us is None else "reset"


class Enrollment:
    """The units that may sync with this department."""

    def __init__(  # noqa: PLR0917 - called once, by the server
        self,
        store: Store,
        authority: Authority,
        log_key: Ed25519PrivateKey,
        settings: Settings,
        root: Path,
        now_us: Callable[[], int],
        ended: Callable[[str], bool] = lambda _unit: False,
    ) -> None:
        """`ended`: whether the access log revoked a unit last, regardless of the store."""
        self._store, self._authority, self._ended = store, authority, ended
        self._log_key, self._settings, self._root = log_key, settings, root
        self._now_us = now_us

    def root_file(self) -> bytes:
        """The signed root file: public, and trusted only by its digest."""
        return self._root.read_bytes()

    def authority_file(self) -> bytes:
        """The CA's present certificate, DER: public, and trusted by the key that the root file names."""
        return self._authority.der()

    # --- codes and units, from the command line -----------------------------------------------------------

    def new_code(self) -> EnrollmentCode:
        """Make a code; no unit can use it before `keep_code`."""
        root, _ = describe(self.root_file())
        return EnrollmentCode.new(root.digest(), f"{self._settings.host}:{self._settings.desk_port}")

    def issue_code(self, name: str) -> EnrollmentCode:
        """Make and keep a code for one unit. Raises InvalidInputError as `keep_code`."""
        code = self.new_code()
        self.keep_code(name, code)
        return code

    def keep_code(self, name: str, code: EnrollmentCode) -> None:
        """Let a unit of that name join with this code.

        Raises InvalidInputError if an enrolled unit with a valid certificate has that name. After the
        certificate has expired, the same unit, by its key, rejoins with a new code.
        """
        if not 1 <= len(name) <= 64 or not name.isprintable():
            raise InvalidInputError("a unit's name has 1 to 64 printable characters", where="--name")
        now = self._now_us()
        with self._store.write() as connection:
            ends_us = unit_health.certificate_ends_us().label("ends_us")
            row = connection.execute(select(units.c.revoked_us, ends_us).where(units.c.name == name)).first()
            cut_off = row is not None and row.ends_us is not None and row.ends_us <= now
            if row is not None and row.revoked_us is None and not cut_off:
                raise InvalidInputError(
                    f"a unit named {name} is enrolled",
                    where="--name",
                    cure="revoke it first, or choose another",
                )
            connection.execute(
                insert(codes).values(
                    digest=code.digest(),
                    name=name,
                    issued_us=now,
                    expires_us=now + self._settings.code_hours * HOUR_US,
                )
            )

    def revoke(self, name: str, why: str) -> None:
        """Revoke the unit with this name or id, and its enrollment codes. Raises InvalidInputError."""
        now = self._now_us()
        named = (units.c.name == name) | (units.c.unit_id == name)
        with self._store.write() as connection:
            row = connection.execute(select(units).where(named, units.c.revoked_us.is_(None))).first()
            if row is None:
                raise InvalidInputError(f"no enrolled unit is named {name}", where="--revoke")
            connection.execute(
                update(units).where(units.c.unit_id == row.unit_id).values(revoked_us=now, revoked_why=why)
            )
            of_it = (codes.c.unit_id == row.unit_id) | (codes.c.name == row.name)
            connection.execute(update(codes).where(of_it, codes.c.expires_us > now).values(expires_us=now))

    def listed(self) -> list[EnrolledUnit]:
        """All units, by name."""
        with self._store.listing() as connection:
            reset_us = unit_health.reset_us().label("reset_us")
            rows = connection.execute(select(units, reset_us).order_by(units.c.name)).all()
        return [
            EnrolledUnit(
                unit_id=row.unit_id,
                name=row.name,
                enrolled_us=row.enrolled_us,
                seen_us=row.seen_us,
                revoked_us=row.revoked_us,
                revoked_why=row.revoked_why,
                reset_us=row.reset_us,
            )
            for row in rows
        ]

    # --- messages ------------------------------------------------------------------------------------------

    def answer(self, name: str, data: bytes) -> bytes:
        """Answer enroll, new-log or renew; returns the signed answer. Raises RefusedByDepartmentError."""
        handlers: dict[str, Callable[[bytes], messages.Message]] = {
            "unit": self._enroll,
            "new-log": self._new_log,
            "renew": self._renew,
        }
        if name not in handlers:
            raise refuse("malformed", "no such message")
        try:
            return messages.seal_message(handlers[name](data), self._log_key)
        except MessageError as error:
            raise refuse("malformed", str(error)) from None
        except (EnvelopeError, RecordError) as error:
            raise refuse("signature", error.what) from None

    def _enroll(self, data: bytes) -> messages.EnrollAnswer:
        request, vouch, public = _opened(messages.EnrollRequest, data)
        code = EnrollmentCode(secret=request.secret, root_digest=b"", address="")
        unit_id = unit_id_of(vouch.unit)
        now = self._now_us()
        with self._store.write() as connection:
            row = connection.execute(select(codes).where(codes.c.digest == code.digest())).first()
            if row is None or row.expires_us <= now or row.unit_id not in {None, unit_id}:
                raise refuse("code", "the enrollment code is unknown, used or expired: ask for a new one")
            self._add_unit(connection, vouch, unit_id, row, now)
            self._hold_log(connection, unit_id, log_id_of(public), vouch, request.vouch)
            connection.execute(
                update(codes).where(codes.c.digest == code.digest()).values(used_us=now, unit_id=unit_id)
            )
            certificate = self._certify(connection, vouch, unit_id)
            carried = documents.at_enrollment(connection)
        log_events.info("unit_enrolled", unit=unit_id, name=row.name)
        settings = self._settings
        return messages.EnrollAnswer(
            unit_id=unit_id,
            name=row.name,
            department=settings.name,
            certificate=certificate,
            authority=self._authority.der(),
            unit_address=f"{settings.host}:{settings.unit_port}",
            documents=tuple(carried),
            at_us=now,
        )

    @staticmethod
    def _add_unit(
        connection: sa.Connection, vouch: Vouch, unit_id: str, code: sa.Row[Any], now_us: int
    ) -> None:
        name = code.name
        row = connection.execute(select(units).where(units.c.unit_id == unit_id)).first()
        if row is not None:
            if row.revoked_us is not None and code.issued_us <= row.revoked_us:
                what = "the enrollment code is older than the revocation of this unit: ask for a new one"
                raise refuse("code", what)
            joined: sa.Executable = (
                update(units)
                .where(units.c.unit_id == unit_id)
                .values(name=name, revoked_us=None, revoked_why=None)
            )
        else:
            joined = insert(units).values(unit_id=unit_id, name=name, identity=vouch.unit, enrolled_us=now_us)
        # a revoked unit gives up its name; its records still refer to its id
        others = units.c.name == name, units.c.revoked_us.is_not(None), units.c.unit_id != unit_id
        old = connection.execute(select(units.c.unit_id).where(*others)).scalar()
        if old is not None:
            renamed = f"{name[:40]}{WAS}{old[:12]})"
            connection.execute(update(units).where(units.c.unit_id == old).values(name=renamed))
        try:
            with connection.begin_nested():
                connection.execute(joined)
        except IntegrityError:
            raise refuse("code", TAKEN) from None

    def _hold_log(
        self, connection: sa.Connection, unit_id: str, log_id: bytes, vouch: Vouch, vouched: bytes
    ) -> bool:
        """Hold a log for its unit and close the unit's other logs; False if it is already held."""
        known = unit_logs.find_log(connection, log_id)
        if known is not None and known.unit_id != unit_id:
            raise refuse("wrong-device", COPIED)
        if known is None:
            unit_logs.close_logs(connection, unit_id, but=log_id)
            unit_logs.add_log(
                connection,
                log_id=log_id,
                unit_id=unit_id,
                public=vouch.log_public,
                vouch=vouched,
                now_us=self._now_us(),
            )
        return known is None

    def _certify(self, connection: sa.Connection, vouch: Vouch, unit_id: str) -> bytes:
        days = self._settings.certificate_days
        certificate = self._authority.issue_unit(vouch.tls_public, unit_id, days)
        connection.execute(
            insert(certificates).values(
                serial=f"{certificate.serial_number:040x}",
                unit_id=unit_id,
                issued_us=self._now_us(),
                expires_us=int(certificate.not_valid_after_utc.timestamp()) * 1_000_000,
            )
        )
        return certificate.public_bytes(serialization.Encoding.DER)

    def _renewed(self, connection: sa.Connection, vouch: Vouch, unit_id: str) -> messages.Renewed:
        certificate = self._certify(connection, vouch, unit_id)
        return messages.Renewed(unit_id=unit_id, certificate=certificate, authority=self._authority.der())

    def _known(self, connection: sa.Connection, vouch: Vouch) -> str:
        unit_id = unit_id_of(vouch.unit)
        row = connection.execute(select(units.c.revoked_us).where(units.c.unit_id == unit_id)).first()
        if row is None:
            raise refuse("unknown-log", "this unit is not enrolled here")
        if row.revoked_us is not None:
            raise refuse("revoked", REVOKED)
        return unit_id

    def _demand_not_ended(self, vouch: Vouch) -> None:
        """Check the access log for a revocation, not in a transaction, for which the log may wait."""
        if self._ended(unit_id_of(vouch.unit)):
            raise refuse("revoked", REVOKED)

    def _new_log(self, data: bytes) -> messages.Renewed:
        """Take a new log of a unit whose old one contradicts what was co-signed; an incident."""
        request, vouch, public = _opened(messages.NewLog, data)
        log_id = log_id_of(public)
        self._demand_not_ended(vouch)
        with self._store.write() as connection:
            unit_id = self._known(connection, vouch)
            if self._hold_log(connection, unit_id, log_id, vouch, request.vouch):
                incidents.record(
                    connection,
                    kind="new-log",
                    detail=vouch.reason or "no reason given",
                    unit_id=unit_id,
                    log_id=log_id,
                    now_us=self._now_us(),
                )
            return self._renewed(connection, vouch, unit_id)

    def _renew(self, data: bytes) -> messages.Renewed:
        vouch = open_vouch(data)
        self._demand_not_ended(vouch)
        with self._store.write() as connection:
            unit_id = self._known(connection, vouch)
            return self._renewed(connection, vouch, unit_id)


def _opened(kind: type[messages.M], data: bytes) -> tuple[messages.M, Vouch, Ed25519PublicKey]:
    """Open a message that is signed by the log key that its own vouch names."""
    claimed = messages.claimed_field(kind, data, "vouch")
    vouch = open_vouch(claimed)
    public = Ed25519PublicKey.from_public_bytes(vouch.log_public)
    return messages.open_message(kind, data, public), vouch, public
