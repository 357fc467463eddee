"""The receiver: takes a unit's signed bytes and returns the department's signed bytes. No HTTP.

Order of the checks: size and form, a log that an enrolled unit vouched for, that log's signature, revocation,
then the content of the message. Whatever contradicts the co-signed past is refused, noted as an incident, and
closes the log. An answer leaves only after what it says is durable.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from storage import merkle
from storage.checkpoint import Checkpoint, cosign, open_checkpoint
from storage.errors import (
    CheckpointError,
    EnvelopeError,
    ProofError,
    RecordError,
    SignatureError,
    StorageError,
)
from storage.leaf import Leaf, open_leaf
from storage.receipts import MAX_RANGES
from sync import messages, parcels
from sync.closed_parcels import ClosedHeader, ClosedHeld
from sync.department.content.key_service import ReceivingKeys
from sync.department.store import incidents, unit_health, unit_logs
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store
from sync.department.store.partials import Partials
from sync.department.store.tables import alerts, documents, receipts, units
from sync.department.store.unit_logs import HeldLog
from sync.department.units import destructions
from sync.department.units.arrival import Arrival
from sync.department.units.closed_arrival import ClosedArrival
from sync.department.units.list_seal import list_of
from sync.destruction import DestroyedHeld
from sync.errors import KeyServiceError, MessageError, RefusedByDepartmentError, StoreError, refuse
from sync.health import HealthHeld, HealthMessage
from sync.pieces import PieceHeader, PieceHeld

log_events = structlog.get_logger("department.receiver")

MAX_CHALLENGES = 4096  # the oldest are forgotten first
RECEIPT_NOTE = "reads, hits and open records; the private day key is destroyed a year after its day"


class Receiver:
    """The department's end of the uplink. Thread-safe; one server process per home."""

    def __init__(  # noqa: PLR0917 - called once, by the server
        self,
        store: Store,
        keys: ReceivingKeys,
        packs: PackStore,
        log_key: Ed25519PrivateKey,
        name: str,
        now_us: Callable[[], int],
        certificate_days: int = 90,
        *,
        partials: Partials,
        heard: Callable[[str, int], object] = lambda _unit, _us: None,
        alerted: Callable[[], object] = lambda: None,
        signed: Callable[[str, bytes], bytes] = lambda _name, stored: stored,
        ended: Callable[[str], bool] = lambda _unit: False,
        counted: Callable[[int, int, str], int | None] = lambda _log, _sequence, _name: None,
    ) -> None:
        """`heard`: called with each unit's time, from its signed hello. `alerted`: called once an alert, or a
        step of one, is stored. `signed`: gives the signed bytes of a stored document. `ended`: whether the
        access log revoked a unit last, whatever the store says. `counted`: see `Arrival`."""
        self._heard, self._signed, self._ended = heard, signed, ended
        self._shut: set[tuple[str, int]] = set()  # name and version of documents that did not open here
        self._partials = partials
        self.store, self.keys, self.packs = store, keys, packs
        self._key = log_key
        self.name = name
        self.origin = messages.department_origin(log_key.public_key())
        self._now_us = now_us
        self._certificate_days = certificate_days
        self._arrival = Arrival(store, keys, packs, now_us, alerted, counted)
        self.closed_arrival = ClosedArrival(store, self._arrival, now_us)
        self.lost_keys = self._arrival.lost_keys
        self.is_on_way = self._arrival.is_on_way
        self._guard = threading.Lock()
        self._locks: dict[bytes, threading.Lock] = {}
        self._challenges: dict[bytes, bool] = {}

    def challenge(self) -> bytes:
        """A nonce for one hello, so that a replayed hello cannot pass for a rolled-back unit."""
        nonce = os.urandom(messages.NONCE_BYTES)
        with self._guard:
            self._challenges[nonce] = True
            while len(self._challenges) > MAX_CHALLENGES:
                del self._challenges[next(iter(self._challenges))]
        return nonce

    def answer(self, path: str, data: bytes) -> bytes:
        """The signed answer to one message. Raises RefusedByDepartmentError."""
        handlers: dict[str, Callable[[bytes], messages.Message]] = {
            "hello": self.hello,
            "leaves": self.leaves,
            "parcel": self.parcel,
            "piece": self.piece,
            "alert": self.alert,
            "closed": self.closed,
            "destroyed": self.destroyed,
            "receipt": self.receipt,
            "document": self.document,
            "health": self.health,
        }
        handler = handlers.get(path)
        if handler is None:
            raise refuse("malformed", "no such message")
        try:
            return messages.seal_message(handler(data), self._key)
        except MessageError as error:
            raise refuse("malformed", str(error)) from None
        except SignatureError:
            raise refuse("signature", "the signature is not valid") from None
        except (StoreError, KeyServiceError, StorageError) as error:
            log_events.error("cannot_store", what=str(error))  # noqa: TRY400 - a traceback would show rows
            raise refuse(
                "unavailable", "the department cannot store now: keep everything, try later"
            ) from None

    def refusal(self, error: RefusedByDepartmentError) -> bytes:
        """The signed form of a refusal."""
        return messages.seal_message(
            messages.Refusal(code=error.code, what=error.what[:500], held=error.held), self._key
        )

    # --- the sender ------------------------------------------------------------------------------------

    def _open(self, kind: type[messages.M], data: bytes) -> tuple[messages.M, HeldLog]:
        """Open a message; returns it and the log that sent it. Raises as `answer`."""
        log_id = messages.claimed_log(kind, data)
        with self.store.read() as connection:
            log = unit_logs.find_log(connection, log_id)
        if log is None or log.closed_of is not None:
            raise refuse("unknown-log", "no enrolled unit vouched for this log")
        message = messages.open_message(kind, data, log.public)
        if log.revoked or self._ended(log.unit_id):
            raise refuse("revoked", "this unit was revoked: enroll it again")
        return message, log

    @contextlib.contextmanager
    def _alone(self, log: HeldLog) -> Iterator[HeldLog]:
        """Hold a log for one message at a time; gives its present state."""
        with self._guard:
            lock = self._locks.setdefault(log.log_id, threading.Lock())
        with lock:
            with self.store.read() as connection:
                now = unit_logs.find_log(connection, log.log_id)
            if now is None:
                raise refuse("unknown-log", "no enrolled unit vouched for this log")
            try:
                yield now
            except RefusedByDepartmentError as error:
                if error.code in messages.INCIDENTS:
                    self._incident(now, error)
                raise

    def _incident(self, log: HeldLog, error: RefusedByDepartmentError) -> None:
        log_events.warning("incident", kind=error.code, unit=log.unit_id)
        with self.store.write() as connection:
            unit_logs.close_log(connection, log.log_no)
            incidents.record(
                connection,
                kind=error.code,
                detail=error.what,
                unit_id=log.unit_id,
                log_id=log.log_id,
                now_us=self._now_us(),
            )

    # --- messages --------------------------------------------------------------------------------------

    def hello(self, data: bytes) -> messages.State:
        """What is held of this log, if its newest checkpoint agrees with it."""
        hello, log = self._open(messages.Hello, data)
        with self._guard:
            fresh = self._challenges.pop(hello.nonce, False)
        if not fresh:
            raise refuse("stale", "the challenge is unknown or was used: ask for a new one")
        self._heard(log.unit_id, hello.at_us)
        with self._alone(log) as now:
            if now.state == unit_logs.OPEN:
                self._compare(hello, now)
            with self.store.write() as connection:
                connection.execute(
                    update(units).where(units.c.unit_id == now.unit_id).values(seen_us=self._now_us())
                )
                waiting = connection.execute(
                    select(documents.c.name, documents.c.version).where(
                        documents.c.unit_id.in_(("", now.unit_id))
                    )
                ).all()
                shut = {list_of(row[0]) for row in waiting if (row[0], row[1]) in self._shut} - {""}
                refs = [
                    messages.DocumentRef(name=row[0], version=row[1])
                    for row in waiting
                    if list_of(row[0]) not in shut
                ]
                refs.sort(key=lambda ref: ref.name)  # a hot list's parts and changes before its head
                return messages.State(
                    log_id=now.log_id,
                    nonce=hello.nonce,
                    at_us=self._now_us(),
                    size=now.frontier.size,
                    cosigned=now.cosigned,
                    complete_to=unit_logs.complete_to(connection, now),
                    again=tuple(unit_logs.wanted_again(connection, now.log_no)),
                    documents=tuple(refs),
                    certificate_days=self._certificate_days,
                )

    def _compare(self, hello: messages.Hello, log: HeldLog) -> None:
        """Raises a refusal (fork, rollback) unless the unit's newest checkpoint extends what is held."""
        theirs = self._checkpoint(hello.checkpoint, log)
        self._not_behind(theirs, log, shorter="rollback")
        if hello.held == log.frontier.size and theirs.size > hello.held > 0:
            self._leads_on(log.frontier, theirs, hello.proof)

    def _checkpoint(self, note: str, log: HeldLog) -> Checkpoint:
        try:
            return open_checkpoint(note, log.note_key)
        except CheckpointError as error:
            raise refuse("signature", f"checkpoint: {error.what}") from None

    def _not_behind(self, theirs: Checkpoint, log: HeldLog, *, shorter: str | None) -> None:
        """Raises a fork if the past differs, or `shorter`, if given, if it is the same but shorter."""
        size = log.frontier.size
        if theirs.size > size:
            return
        with self.store.read() as connection:
            root = (
                log.frontier.root()
                if theirs.size == size
                else unit_logs.root_at(connection, log.log_no, theirs.size)
            )
        if root != theirs.root:
            raise refuse("fork", f"its history differs from the {size} records held here", held_size=size)
        if theirs.size < size and shorter is not None:
            raise refuse(shorter, f"{theirs.size} records, but {size} are held here", held_size=size)

    @staticmethod
    def _leads_on(frontier: merkle.Frontier, theirs: Checkpoint, proof: tuple[bytes, ...]) -> None:
        try:
            merkle.verify_consistency(frontier.size, frontier.root(), theirs.size, theirs.root, proof)
        except ProofError as error:
            what = f"records up to {frontier.size} do not lead to the signed checkpoint: {error.what}"
            raise refuse("fork", what, held_size=frontier.size) from None

    def leaves(self, data: bytes) -> messages.LeavesHeld:
        """Append leaves. Repeated ones are taken once; a different leaf in a taken place is a fork."""
        batch, log = self._open(messages.LeafBatch, data)
        if log.state != unit_logs.OPEN:
            raise refuse("closed", "this log was closed after an incident: open a new one")
        theirs = self._checkpoint(batch.checkpoint, log)
        with self._alone(log) as now:
            size = now.frontier.size
            if batch.first > size:
                raise refuse("gap", f"records from {batch.first}, but {size} is next", held_size=size)
            self._not_behind(theirs, now, shorter=None)  # an old batch that is sent again changes nothing
            known = min(size - batch.first, len(batch.leaves))
            with self.store.read() as connection:
                before = unit_logs.leaves_from(connection, now.log_no, batch.first, known)
                ahead = unit_logs.alert_leaves(connection, now.log_no, size, size + len(batch.leaves))
                early = Counter(
                    sequence for sequence, _ in unit_logs.names_held(connection, now.log_no, ahead)
                )
            if before != list(batch.leaves[:known]):
                raise refuse("fork", f"not the records that are held before {size}", held_size=size)
            new = batch.leaves[known:]
            if new and size + len(new) > theirs.size:
                raise refuse("malformed", "more leaves than the checkpoint covers")
            frontier = now.frontier.copy()
            rows = []
            for leaf_bytes in new:
                leaf = self._leaf(leaf_bytes, now, frontier.size)
                if ahead.get(leaf.sequence, leaf_bytes) != leaf_bytes:
                    raise refuse(
                        "fork", f"record {leaf.sequence} came earlier as a different alert", held_size=size
                    )
                frontier.append(merkle.leaf_hash(leaf_bytes))
                rows.append((leaf_bytes, len(messages.traveling(leaf)) - early[leaf.sequence]))
            if theirs.size > size:
                self._leads_on(frontier, theirs, batch.proof)
            note = None
            if frontier.size == theirs.size and frontier.size > now.cosigned_size:
                note = cosign(
                    batch.checkpoint, self.origin, self._key, time_s=max(0, self._now_us() // 1_000_000)
                )
            with self.store.write() as connection:
                unit_logs.add_leaves(self.store, connection, now, rows, frontier, note)
            self._settle_alerts(now.log_id, frontier.size)
            whole = now.cosigned if frontier.size == now.cosigned_size else note
            return messages.LeavesHeld(log_id=now.log_id, size=frontier.size, cosigned=whole)

    def _settle_alerts(self, log_id: bytes, size: int) -> None:
        """Take the elements of alerts whose leaf has come in its place, as if they had come now."""
        with self.store.read() as connection:
            log = unit_logs.find_log(connection, log_id)
            kept = [] if log is None else unit_logs.alerts_before(connection, log.log_no, size)
        for sequence, data in kept:
            if log is None:
                return
            with contextlib.suppress(MessageError, SignatureError, RefusedByDepartmentError):
                # what is unreadable, for example after a purge, is requested again: the leaf is here now
                header_bytes, body = parcels.split_parcel(data)
                header = messages.open_message(messages.ParcelHeader, header_bytes, log.public)
                self._arrival.take(log, header, parcels.cut_items(header.items, body))
            with self.store.write() as connection:
                unit_logs.drop_alert(connection, log.log_no, sequence)

    @staticmethod
    def _leaf(data: bytes, log: HeldLog, sequence: int) -> Leaf:
        try:
            leaf = open_leaf(data, log.public)
        except (EnvelopeError, RecordError) as error:
            raise refuse("bad-leaf", f"record {sequence}: {error.what}") from None
        if leaf.log_id != log.log_id or leaf.sequence != sequence:
            raise refuse("bad-leaf", f"record {sequence}: belongs to another log or place")
        return leaf

    def parcel(self, data: bytes) -> messages.ParcelHeld:
        """Take elements; they are opened, matched, resealed and synced when this returns."""
        header_bytes, body = parcels.split_parcel(data)
        header, log = self._open(messages.ParcelHeader, header_bytes)
        parts = parcels.cut_items(header.items, body)
        if header.leaf is not None:
            raise refuse("malformed", "an alert goes to /v1/alert")
        with self._alone(log) as now:
            complete_to, bad = self._arrival.take(now, header, parts)
        return messages.ParcelHeld(log_id=log.log_id, complete_to=complete_to, bad=tuple(bad))

    def piece(self, data: bytes) -> PieceHeld:
        """Keep a piece of an element, and take the element once it is complete."""
        header_bytes, body = parcels.split_parcel(data)
        header, log = self._open(PieceHeader, header_bytes)
        with self._alone(log) as now:
            with self.store.read() as connection:
                rows = unit_logs.missing_of(connection, now.log_no, [header.sequence])
                if not rows:
                    raise refuse(
                        "gap",
                        f"record {header.sequence} is not held yet: send its leaf first",
                        held_size=now.frontier.size,
                    )
                place = (header.sequence, header.name)
                there = rows[header.sequence][1] == 0 or place in unit_logs.names_held(
                    connection, now.log_no, [header.sequence]
                )
            if there:
                return PieceHeld(log_id=now.log_id, held=header.total, done=True, bad=())
            here = self._partials.add(now.log_no, header, body)
            if here < header.total:
                return PieceHeld(log_id=now.log_id, held=here, done=False, bad=())
            item = messages.ParcelElement(sequence=header.sequence, name=header.name, length=header.total)
            parcel = messages.ParcelHeader(log_id=now.log_id, keys=header.keys, items=(item,))
            _, bad = self._arrival.take(now, parcel, [self._partials.whole(now.log_no, header)])
            self._partials.drop(now.log_no)
        return PieceHeld(log_id=log.log_id, held=header.total, done=True, bad=tuple(bad))

    def closed(self, data: bytes) -> ClosedHeld:
        """Take records of a closed log of the same unit, offered or with their content."""
        header_bytes, body = parcels.split_parcel(data)
        header, log = self._open(ClosedHeader, header_bytes)
        return self.closed_arrival.take(log.unit_id, header, parcels.cut_items(header.items, body))

    def destroyed(self, data: bytes) -> DestroyedHeld:
        """Take the destruction receipt of a unit that was reset, over any link."""
        return destructions.take(self.store, data, self._now_us())[0]

    def alert(self, data: bytes) -> messages.ParcelHeld:
        """Take a hit ahead of its turn: its content now, while its leaf waits for its place in the log.

        The parcel is kept as received until the same leaf arrives there.
        """
        header_bytes, body = parcels.split_parcel(data)
        header, log = self._open(messages.ParcelHeader, header_bytes)
        if header.leaf is None:
            raise refuse("malformed", "an alert carries its leaf")
        parts = parcels.cut_items(header.items, body)
        with self._alone(log) as now:
            leaf = self._leaf(header.leaf, now, header.items[0].sequence if header.items else -1)
            with self.store.write() as connection:
                here = unit_logs.leaves_from(connection, now.log_no, leaf.sequence, 1) or [
                    one
                    for _, one in unit_logs.alert_leaves(
                        connection, now.log_no, leaf.sequence, leaf.sequence + 1
                    ).items()
                ]
                if here and here[0] != header.leaf:
                    raise refuse("fork", f"record {leaf.sequence} is held with other content")
                if not here:
                    connection.execute(
                        alerts.insert().values(
                            log_no=now.log_no,
                            sequence=leaf.sequence,
                            leaf=header.leaf,
                            received_us=self._now_us(),
                            parts=data,
                        )
                    )
            ahead = header.leaf if leaf.sequence >= now.frontier.size else None
            complete_to, _ = self._arrival.take(now, header, parts, ahead=ahead)
            return messages.ParcelHeld(log_id=now.log_id, complete_to=complete_to, bad=())

    def receipt(self, data: bytes) -> messages.Receipt:
        """Give a receipt, which lets the unit destroy content: ranges from `first` on that are safe here."""
        wanted, log = self._open(messages.ReceiptWanted, data)
        with self._alone(log) as now, self.store.write() as connection:
            end = unit_logs.complete_to(connection, now)
            missing = unit_logs.not_whole(connection, now.log_no, wanted.first, end)
            receipt = messages.Receipt(
                department=self.name,
                log_id=now.log_id,
                ranges=ranges_without(wanted.first, end, missing)[:MAX_RANGES],
                size=now.frontier.size,
                root=now.frontier.root(),
                at_us=self._now_us(),
                note=RECEIPT_NOTE,
            )
            if receipt.ranges and not unit_logs.has_receipt(connection, now.log_no, wanted.first, end):
                connection.execute(
                    receipts.insert().values(
                        log_no=now.log_no,
                        first=wanted.first,
                        end=end,
                        message=messages.seal_message(receipt, self._key),
                        at_us=receipt.at_us,
                    )
                )
        return receipt

    def document(self, data: bytes) -> messages.DocumentPart:
        """Give a piece of a signed document for this unit."""
        wanted, log = self._open(messages.DocumentWanted, data)
        with self.store.read() as connection:
            row = connection.execute(
                select(documents.c.message)
                .where(
                    documents.c.name == wanted.name,
                    documents.c.version == wanted.document_version,
                    documents.c.unit_id.in_(("", log.unit_id)),
                )
                .order_by(documents.c.unit_id.desc())
            ).first()
        if row is None:
            raise refuse("malformed", "there is no such document for this unit")
        try:
            whole = self._signed(wanted.name, bytes(row[0]))
        except StorageError as error:
            # from its next message on, the unit is not offered this list
            self._shut.add((wanted.name, wanted.document_version))
            log_events.error("list_does_not_open", document=wanted.name, where=error.where, cure=error.cure)  # noqa: TRY400
            raise
        if wanted.offset > len(whole):
            raise refuse("malformed", "offset past the document's end")
        return messages.DocumentPart(
            log_id=log.log_id,
            name=wanted.name,
            document_version=wanted.document_version,
            total=len(whole),
            offset=wanted.offset,
            data=whole[wanted.offset : wanted.offset + messages.MAX_PART_BYTES],
        )

    def health(self, data: bytes) -> HealthHeld:
        """Keep a unit's health report in place of the one before."""
        report, log = self._open(HealthMessage, data)
        with self.store.write() as connection:
            unit_health.keep(connection, log.unit_id, data, self._now_us())
        return HealthHeld(log_id=log.log_id, at_us=report.at_us)


def ranges_without(first: int, end: int, missing: list[int]) -> tuple[tuple[int, int], ...]:
    """[first, end) as inclusive (first, last) pairs without `missing`."""
    found, start = [], first
    for stop in [*(one for one in missing if first <= one < end), end]:
        if start < stop:
            found.append((start, stop - 1))
        start = stop + 1
    return tuple(found)
