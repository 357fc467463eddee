"""A unit as the store sees it: signs leaves, seals to a day key, delivers through the key service."""

from __future__ import annotations

from dataclasses import dataclass

import drawn_images
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from storage import codec, merkle, sealing
from storage import leaf as leaves
from storage.checkpoint import Checkpoint, cosign, sign_checkpoint
from storage.day_keys import seal_to_day
from storage.leaf import ENTRY, Leaf, Mark, log_id_of, origin_of
from storage.log_records import FileInForce
from storage.read_records import Position, Read
from storage.record_base import ClockState, KeyClass, Record
from storage.standing import ENROLLMENT
from storage.times import DAY_US
from sync.department.content.key_service import LocalKeyService
from sync.department.content.search_tokens import StoredElement
from sync.department.ground.home import DepartmentHome
from sync.department.store import unit_logs
from sync.department.store.opening import open_store
from sync.department.store.tables import units
from sync.department.units.arrival import ALERT_KINDS
from sync.messages import department_origin

LATITUDE, LONGITUDE = 34.1443, -117.9979
METRES_A_DEGREE = 111_195.0


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass of a vehicle. `north_m`: how far north; `clock`: how well the unit knew the time."""

    plate: str
    at_us: int
    north_m: float = 0.0
    clock: ClockState = ClockState.DISCIPLINED


def read_of(one: Pass) -> Read:
    return Read(
        text=one.plate,
        confidence=0.98,
        jurisdiction="CA",
        first_us=one.at_us,
        last_us=one.at_us + 800_000,
        time_error_us=DAY_US if one.clock is ClockState.UNKNOWN else 20_000,
        clock_state=one.clock,
        position=Position(
            latitude=LATITUDE + one.north_m / METRES_A_DEGREE, longitude=LONGITUDE, error_m=5.0
        ),
        direction="towards",
        camera="front",
        plate_box=(10.0, 10.0, 90.0, 40.0),
        software="test",
        demo=False,
    )


class UnitTwin:
    """One unit's log in the department's store."""

    def __init__(self, home: DepartmentHome, key: Ed25519PrivateKey, name: str) -> None:
        self._home, self._key, self._name = home, key, name
        self._store = open_store(home.database_url)
        self._keys = LocalKeyService(home.keys)
        self.log_id = log_id_of(key.public_key())
        self._leaves: list[bytes] = []
        self._epoch = 0
        with self._store.write() as connection:
            values = {"unit_id": name, "name": name, "identity": b"", "enrolled_us": 0, "seen_us": 1}
            connection.execute(insert(units).values(**values))
            public = key.public_key().public_bytes_raw()
            unit_logs.add_log(
                connection, log_id=self.log_id, unit_id=name, public=public, vouch=b"", now_us=0
            )

    def close(self) -> None:
        self._store.close()
        self._keys.close()

    def deliver(self, passes: list[Pass], *, received_us: int) -> list[str]:
        """Make, seal and deliver reads of one epoch. Returns their names."""
        return self._hand_over(
            [
                (
                    Read.KIND,
                    KeyClass.READ,
                    {
                        "text": codec.to_bytes(read.text_part()),
                        "place": codec.to_bytes(read.place_part()),
                        "patch": drawn_images.patch(read.text),
                        "overview": drawn_images.overview(read.text),
                    },
                )
                for read in map(read_of, passes)
            ],
            received_us,
        )

    def join(self, *, received_us: int) -> None:
        """Deliver the records that a unit makes when it joins a department."""
        said = FileInForce(name=ENROLLMENT, version=1, digest=bytes(32), record=len(self._leaves))
        self.deliver_records([said], received_us=received_us)

    def deliver_records(self, records: list[Record], *, received_us: int) -> list[str]:
        """Make, seal and deliver other records, such as alerts. Returns their names."""
        return self._hand_over(
            [(one.KIND, one.KEY_CLASS, {ENTRY: codec.to_bytes(one)}) for one in records], received_us
        )

    def _hand_over(
        self, records: list[tuple[str, KeyClass, dict[str, bytes]]], received_us: int
    ) -> list[str]:
        day = received_us // DAY_US
        self._epoch += 1
        epoch_key = sealing.new_key()
        day_key = self._keys.issue_day_keys(day, 1)[0]
        sealed_key = (day_key.key_id, seal_to_day(epoch_key, day_key, self.log_id, self._epoch))
        parts: list[tuple[int, str, bytes]] = []
        fresh: list[bytes] = []
        names = []
        unsealed: list[unit_logs.NewElement] = []
        for kind, key_class, contents in records:
            sequence = len(self._leaves)
            marks = {}
            for name, content in contents.items():
                fresh_one = sealing.fresh(name, content)
                if key_class is KeyClass.OPEN:
                    sealed = sealing.leave_open(fresh_one)
                    unsealed.append(
                        unit_logs.NewElement(
                            sequence=sequence, name=name, form=unit_logs.FORM_OPEN, stored=sealed.stored
                        )
                    )
                else:
                    sealed = sealing.seal(epoch_key, self.log_id, sequence, fresh_one)
                    parts.append((sequence, name, sealed.stored))
                marks[name] = Mark(sealed.commitment, sealed.digest)
            leaf = Leaf(
                log_id=self.log_id,
                kind=kind,
                sequence=sequence,
                epoch=self._epoch,
                key_class=key_class,
                elements=marks,
            ).sign(self._key)
            self._leaves.append(leaf)
            fresh.append(leaf)
            names.append(f"{self.log_id.hex()}/{sequence}")
        public = self._key.public_key().public_bytes_raw()
        arrived = [StoredElement(self._leaves[sequence], name, stored) for sequence, name, stored in parts]
        kept = self._keys.open_and_reseal(day, public, {self._epoch: sealed_key}, arrived)
        self._store.open_day(day)
        frontier = merkle.Frontier()
        for leaf in self._leaves:
            frontier.append(merkle.leaf_hash(leaf))
        head = Checkpoint(origin_of(self.log_id), frontier.size, frontier.root())
        note = sign_checkpoint(head, self._key)
        key = self._home.log_key()
        origin = department_origin(key.public_key())
        note = cosign(note, origin, key, time_s=received_us // 1_000_000)
        with self._store.write() as connection:
            log = unit_logs.find_log(connection, self.log_id)
            assert log is not None
            unit_logs.add_leaves(self._store, connection, log, [(leaf, 4) for leaf in fresh], frontier, note)
            new = [
                unit_logs.NewElement(
                    sequence=sequence,
                    name=name,
                    form=unit_logs.FORM_SEALED,
                    stored=after.stored,
                    token=after.token,
                )
                for (sequence, name, _), after in zip(parts, kept, strict=True)
            ]
            unit_logs.add_elements(self._store, connection, log.log_no, day, [*unsealed, *new])
            numbers = [leaves.unchecked(one) for one in fresh]
            of_alerts = [one.sequence for one in numbers if one.kind in ALERT_KINDS]
            unit_logs.note_alerts(connection, log.log_no, day, of_alerts)
        return names
