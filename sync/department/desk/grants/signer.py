"""Signs, delegates and revokes maintenance grants with the command key (463.3). The desk decides who may
ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from storage import codec, envelope, files
from storage.grant_format import (
    DEPARTMENT,
    FORMAT,
    REVOCATIONS,
    Bundle,
    Delegation,
    Grant,
    delegate,
    issue,
    open_bundle,
)
from storage.times import DAY_US
from sync.department.ground.home import DepartmentHome
from sync.department.ground.unit_names import alike
from sync.department.policy.named_files import command_key
from sync.department.store.database import Store
from sync.department.store.tables import units
from sync.department.units import documents
from sync.department.units.signed_rows import drop_unsigned, public_of
from sync.documents import Carried, context_of
from sync.errors import HomeError, InvalidInputError

SIGNER = "command"


@dataclass(frozen=True, slots=True)
class GrantOffice:
    """One home's command key and list of revoked grants."""

    home: DepartmentHome
    store: Store
    said: documents.Said = documents.unsaid

    def _command(self) -> Ed25519PrivateKey:
        return command_key(self.home)

    def unit_ids(self, names: Sequence[str]) -> tuple[str, ...]:
        """The ids of enrolled units, given by id or name, or the word for the department's own server.

        Raises InvalidInputError.
        """
        with self.store.read() as connection:
            rows = connection.execute(select(units.c.unit_id, units.c.name)).all()
        by_name = {row.name: row.unit_id for row in rows} | {row.unit_id: row.unit_id for row in rows}
        by_name[DEPARTMENT] = DEPARTMENT
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise InvalidInputError(
                f"no such unit: {', '.join(unknown)}",
                cure=f"did you mean {', '.join(meant)}?"
                if (meant := [one for one in (alike(name, by_name) for name in unknown) if one])
                else "see Units, or: department enroll --list",
            )
        return tuple(by_name[name] for name in names)

    def unit_names(self) -> dict[str, str]:
        """A map from unit id to name of every unit that was ever enrolled."""
        with self.store.listing() as connection:
            return {
                row.unit_id: row.name for row in connection.execute(select(units.c.unit_id, units.c.name))
            }

    def sign(self, grant: Grant) -> Bundle:
        """Sign a grant with the command key. Raises RecordError, GrantLimitError, HomeError."""
        return issue(grant, self._command())

    def opened(self, data: bytes) -> tuple[Grant, str]:
        """(the grant of a file, who signed it), after its signatures are checked. Raises GrantError,
        RecordError."""
        bundle = Bundle.parse(data)
        grant = open_bundle(bundle, [self._command().public_key()])
        grant.check()
        if bundle.delegation is None:
            return grant, SIGNER
        payload = envelope.split(bundle.delegation)[1]
        return grant, codec.from_bytes(Delegation, payload).designee

    def lend(self, designee: str, days: int, now_us: int) -> tuple[Delegation, bytes, bytes]:
        """(the delegation, its signed bytes, the designee's new raw key). Raises RecordError, HomeError."""
        key = Ed25519PrivateKey.generate()
        made = Delegation(
            format=FORMAT,
            designee=designee,
            public_key=key.public_key().public_bytes_raw(),
            from_us=now_us,
            to_us=now_us + days * DAY_US,
        )
        return made, delegate(made, self._command()), key.private_bytes_raw()

    def revoke(self, names: Sequence[str], now_us: int) -> int:
        """Revoke grants by id, person or fingerprint. Returns how many names are now in the list."""
        command = self._command()
        with self.store.write() as connection:
            documents.in_turn(connection)
            self._drop_unsigned(connection, command, now_us)
            version = documents.next_version(connection, REVOCATIONS, "", self.said)
            offered = documents.out(connection, REVOCATIONS)[1]
            whole = sorted({*self._revoked(command, offered), *names})
            body = Carried(
                name=REVOCATIONS, version=version, unit_id="", issued_us=now_us, expires_us=None,
                body=envelope.encode(whole),
            )  # fmt: skip
            message = documents.sign_document(REVOCATIONS, codec.to_bytes(body), command)
            documents.publish(connection, REVOCATIONS, version, message, now_us)
            files.replace(self.home.path / "revocations.cbor", message)
        return len(whole)

    def _drop_unsigned(self, connection: sa.Connection, command: Ed25519PrivateKey, now_us: int) -> None:
        """Drop an offered list that this department did not sign. Raises HomeError if its file is gone too.

        Names would then be lost.
        """
        held = documents.version_out(connection, REVOCATIONS)
        drop_unsigned(connection, REVOCATIONS, "", public_of(command), now_us)
        path = self.home.path / "revocations.cbor"
        if held and not documents.version_out(connection, REVOCATIONS) and not path.exists():
            raise HomeError(
                "is gone, and no one signed the list of revoked grants that the store offers",
                where=str(path),
                cure="restore it from its backup",
            )

    def _revoked(self, command: Ed25519PrivateKey, offered: bytes) -> set[str]:
        """The names in the file and in what units are `offered`. With both, the loss of one restores no
        grant."""
        path = self.home.path / "revocations.cbor"
        names: set[str] = set()
        for message in (path.read_bytes() if path.exists() else b"", offered):
            if message:
                payload = envelope.open_signed(message, command.public_key(), context=context_of(REVOCATIONS))
                names.update(envelope.decode(codec.from_bytes(Carried, payload).body))
        return names
