"""A unit that joined a department in this process, and its genuine and forged messages; no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import SteppedTime
from sync_twins import Unit, code_of

from storage import merkle, purge
from storage.checkpoint import Checkpoint, NoteKey, sign_checkpoint
from storage.leaf import open_leaf, origin_of
from storage.standing import UnitEnrollment
from sync import messages, parcels
from sync.department.ground.home import load_ed25519
from sync.department.server.server import Department
from sync.department.store import incidents, unit_logs
from sync.destruction import Destroyed, ranges_of
from sync.enrollment_code import EnrollmentCode
from sync.health import HealthMessage
from sync.membership import Member, make_vouch
from sync.rollover import keep_keys, roll_over


class Joined(Unit):
    """A unit that joined the department in this process."""

    def __init__(
        self,
        path: Path,
        department: Department,
        name: str,
        *,
        time_source: SteppedTime | None = None,
        code: str = "",
        alone: Callable[[Unit], object] = lambda _unit: None,
    ) -> None:
        """`code`: an enrollment code from the desk; by default, one made without it. `alone`: what the unit
        does before it joins."""
        super().__init__(path, time_source=time_source)
        self.department = department
        try:
            alone(self)
            self._join(name, code)
        except BaseException:
            self.close()
            raise

    def _join(self, name: str, code: str) -> None:
        department = self.department
        given = EnrollmentCode.parse(code or code_of(department, name))
        self.folder.make()

        outbox = self.outbox
        vouch = make_vouch(self.folder, self.folder.unit_key(), outbox.log_public)
        request = messages.EnrollRequest(secret=given.secret, vouch=vouch, software="test")
        key = department.home.log_key().public_key()
        answer = messages.open_message(
            messages.EnrollAnswer,
            department.enrollment.answer("unit", messages.seal_message(request, outbox.sign)),
            key,
        )
        command = load_ed25519(department.home.path / "command.key").public_key().public_bytes_raw()
        note = NoteKey(messages.department_origin(key), key).text()
        outbox.take_membership(
            UnitEnrollment(
                version=1,
                organisation=answer.department,
                unit=answer.unit_id,
                command_key=command,
                department=note,
            )
        )
        for one in answer.documents:
            outbox.take_document(one.name, one.message)
        self.folder.save_member(
            Member(
                department=answer.department,
                unit_id=answer.unit_id,
                name=answer.name,
                unit_address="localhost:1",
                front_address="localhost:1",
                department_key=key.public_bytes_raw(),
                command_key=command,
                authority=answer.authority,
                root=bytes(32),
            )
        )

    def close_log(self, *, forked: bool = True) -> Path:
        """Set the log and its keys aside, and open another. Returns the folder of the closed one.

        forked: as after a fork, naming the last anchor; otherwise as after a damaged card, without one.
        """
        log_id, previous = self.outbox.log_id, self.outbox.anchored_note() if forked else None
        keep_keys(self.folder, log_id, self.outbox.sealed_keys())
        self.ledger.close()
        self.ledger = roll_over(
            self.home,
            self.slot,
            self.clock,
            self.folder,
            previous=previous,
            reason="the department refused it" if forked else "its card was damaged",
        )
        return self.folder.path / "old" / log_id.hex()[:16]

    def last_word(self, left: Sequence[int] = ()) -> Destroyed:
        """The last message of a factory reset; `left`: records that the department never received."""
        return Destroyed(
            log_id=self.outbox.log_id,
            unit_id=self.folder.member().unit_id,
            at_us=self.clock.now().us,
            size=self.outbox.size(),
            checkpoint=self.outbox.head(),
            grant_id="g-463",
            undelivered=len(left),
            ranges=ranges_of(list(left)),
            holds=(),
        )


def incident_kinds(department: Department) -> list[str]:
    with department.store.read() as connection:
        return [one.kind for one in incidents.listed(connection)]


def size_held(department: Department, unit: Unit) -> int:
    with department.store.read() as connection:
        log = unit_logs.find_log(connection, unit.outbox.log_id)
        assert log is not None
        return log.frontier.size


def signed_leaves(unit: Joined, first: int, data: list[bytes], size: int | None = None) -> bytes:
    """A batch signed by the unit, with a checkpoint over these leaves after the real ones before them."""
    real = unit.outbox.leaves(0, first) if first else []
    root = merkle.root_of(merkle.leaf_hash(one) for one in [*real, *data])
    key = Ed25519PrivateKey.from_private_bytes(unit.ledger.store.ring.log_key)
    head = Checkpoint(origin_of(unit.outbox.log_id), size or first + len(data), root)
    batch = messages.LeafBatch(
        log_id=unit.outbox.log_id,
        first=first,
        leaves=tuple(data),
        checkpoint=sign_checkpoint(head, key),
        proof=(),
    )
    return messages.seal_message(batch, unit.outbox.sign)


@dataclass(frozen=True, slots=True)
class Sender:
    """A unit with three reads that the department has in full, and three that it has not seen."""

    department: Department
    unit: Joined
    held: int

    def say(self, path: str, message: messages.Message) -> bytes:
        return self.department.receiver.answer(path, messages.seal_message(message, self.unit.outbox.sign))

    def carry(self, path: str, header: messages.Message, *parts: bytes) -> bytes:
        sealed = messages.seal_message(header, self.unit.outbox.sign)
        return self.department.receiver.answer(path, b"".join(parcels.frame_parcel(sealed, list(parts))))

    def hello(self, **changes: object) -> messages.Hello:
        outbox = self.unit.outbox
        hello = messages.Hello(
            log_id=outbox.log_id,
            nonce=self.department.receiver.challenge(),
            at_us=1,
            checkpoint=outbox.head(),
            proof=tuple(outbox.consistency(self.held, outbox.size())),
            held=self.held,
            software="test",
        )
        return replace(hello, **changes)  # type: ignore[arg-type]

    def parcel(self, sequence: int, name: str, leaf: bytes | None = None) -> messages.ParcelHeader:
        item = messages.ParcelElement(sequence=sequence, name=name, length=1)
        return messages.ParcelHeader(log_id=self.unit.outbox.log_id, keys=(), items=(item,), leaf=leaf)

    def head(self, size: int, root: bytes) -> str:
        key = Ed25519PrivateKey.from_private_bytes(self.unit.ledger.store.ring.log_key)
        return sign_checkpoint(Checkpoint(origin_of(self.unit.outbox.log_id), size, root), key)

    def root(self, size: int) -> bytes:
        return merkle.root_of(merkle.leaf_hash(one) for one in self.unit.outbox.leaves(0, size))


def other_leaf(sender: Sender, sequence: int) -> bytes:
    """A second leaf that the unit signed for the same sequence number."""
    (data,) = sender.unit.outbox.leaves(sequence, 1)
    leaf = open_leaf(data, sender.unit.ledger.public_key.public)
    name, mark = next(iter(leaf.elements.items()))
    changed = leaf.elements | {name: replace(mark, digest=bytes(32))}
    key = Ed25519PrivateKey.from_private_bytes(sender.unit.ledger.store.ring.log_key)
    return replace(leaf, elements=changed).sign(key)


def batch(sender: Sender, first: int) -> bytes:
    """A batch of the unit's real leaves from `first` on."""
    outbox = sender.unit.outbox
    return signed_leaves(sender.unit, first, outbox.leaves(first, outbox.size() - first))


def purge_all(unit: Unit) -> None:
    """Destroy all content in the unit's store, as its retention would."""
    store = unit.ledger.store
    with store.lock:
        gone = tuple(item.purged() for item in unit.ledger.retention_plan() if item.records)
        epochs = [one.epoch for one in gone]
        store.end_running(epochs)
        unit.ledger.standing.carry_over(epochs)
        purge.carry_out(store, gone, by="a test")


def report_of(unit: Joined) -> HealthMessage:
    """The unit's report on its health, by its own clock."""
    return HealthMessage(
        log_id=unit.outbox.log_id, at_us=unit.clock.now().us, software="test", clock_state="disciplined",
        clock_error_us=1000, running_s=1.0, temperature_c=None, throttled=None, undervoltage=None,
        disk_free_bytes=1, disk_total_bytes=2, card_wear_percent=None, memory_free_bytes=None,
        frames_per_s=1.0, frames=1, frames_dropped=0, reads=1, reads_this_hour=1, reads_usual_hour=None,
        sharpness=None, brightness=None, log_records=1, newer_than_anchors=0, unacknowledged=0,
        since_sync_s=None, alarms=(),
    )  # fmt: skip
