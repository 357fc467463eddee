"""Hands closed logs over to the department, record by record, once everything else has been sent.

Resumable: each signed answer that lacks nothing is kept beside the log, and its records are not offered
again. What cannot be read or does not verify stays, and so does the alarm, since that needs a person.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import files
from storage.errors import StorageError
from storage.leaf import unchecked
from sync import messages, parcels
from sync.closed_parcels import MAX_CLOSED_LEAVES, ClosedHeader, ClosedHeld, digest_of
from sync.errors import LinkError
from sync.handover import ANSWERS, HandedRecord, Handover, answered, open_handover
from sync.link import Link
from sync.membership import SyncFolder
from sync.outbox import Outbox

log_events = structlog.get_logger("uplink")
WHOLE = "whole"
MOST_LEAF_BYTES = 256 * 1024  # in one message


@dataclass(slots=True, kw_only=True)
class Delivered:
    """What one conversation handed over.

    bad: elements that the department could not take. unopenable: elements under a day key that it no longer
    has. paused: the conversation ended before everything was delivered.
    """

    records: int = 0
    bad: int = 0
    unopenable: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """Records of a closed log, and some of their elements with stored bytes; without elements, an offer."""

    leaves: tuple[bytes, ...]
    items: tuple[messages.ParcelElement, ...] = ()
    parts: tuple[bytes, ...] = ()


class ClosedDelivery:
    """Hands over through one link, signed by the log that is open now. Not thread-safe."""

    def __init__(
        self, outbox: Outbox, link: Link, department: Ed25519PublicKey, *, parcel_bytes: int
    ) -> None:
        self._outbox, self._link, self._department = outbox, link, department
        self._parcel_bytes = parcel_bytes

    def run(self, folder: SyncFolder, may_continue: Callable[[], bool] = lambda: True) -> Delivered:
        """Hands over every closed log that still waits. Raises LinkError, RefusedByDepartmentError."""
        done = Delivered()
        for beside in sorted(one.parent for one in (folder.path / "old").glob("*/store")):
            if (beside / ANSWERS / WHOLE).exists():
                continue
            try:
                with open_handover(beside) as handover:
                    self._one(handover, beside, done, may_continue)
            except (StorageError, OSError, sqlite3.Error) as error:
                log_events.warning("closed_log_unreadable", log=beside.name, what=str(error))
        return done

    def _one(
        self, handover: Handover, beside: Path, done: Delivered, may_continue: Callable[[], bool]
    ) -> None:
        there = answered(beside, handover.log_id, self._department)
        whole, what = True, ""
        shut: list[int] = []
        files.make_dir(beside / ANSWERS)

        def is_shut(number: int, error: PermissionError) -> None:
            nonlocal what
            shut.append(number)
            what = what or str(error)

        records = handover.records(shut=is_shut, there=there)
        for some in portions((one for one in records if isinstance(one, HandedRecord)), shut):
            if not may_continue():
                done.paused = True
                return
            answer, signed, bad = self._portion(handover, some)
            done.records += len(some) - len(answer.lacking)
            refused, keyless = messages.part_keyless(bad)
            done.bad += len(refused)
            done.unopenable += len(keyless)
            whole = whole and not answer.lacking
            if not answer.lacking:
                files.replace(beside / ANSWERS / f"{answer.first:016d}.cbor", signed)
        if shut:  # they are sent once they can be read again
            log_events.warning("closed_log_waits", log=beside.name, records=len(shut), what=what)
        elif whole:  # everything that verifies is delivered; the log need not be read again
            files.replace(beside / ANSWERS / WHOLE, b"")

    def _portion(
        self, handover: Handover, some: Sequence[HandedRecord]
    ) -> tuple[ClosedHeld, bytes, list[messages.Bad]]:
        """Returns the last answer about these records, its signed bytes, and the bad elements."""
        offer = Parcel(tuple(one.leaf for one in some))
        answer, signed = self._ask(handover, offer)
        bad = list[messages.Bad]()
        if answer.lacking:
            lacking = set(answer.lacking)
            for parcel in cut((one for one in some if one.sequence in lacking), self._parcel_bytes):
                bad += self._ask(handover, parcel)[0].bad
            answer, signed = self._ask(handover, offer)
        return answer, signed, bad

    def _ask(self, handover: Handover, parcel: Parcel) -> tuple[ClosedHeld, bytes]:
        header = header_of(self._outbox.log_id, handover.log_id, parcel, {k.epoch: k for k in handover.keys})
        signed = messages.seal_message(header, self._outbox.sign)
        data = self._link.post("closed", parcels.frame_parcel(signed, parcel.parts))
        held = messages.open_answer(ClosedHeld, data, self._department)
        if (held.log_id, held.closed, held.digest) != (
            header.log_id,
            header.closed,
            digest_of(parcel.leaves),
        ):
            raise LinkError("an answer about other records")
        return held, data


def header_of(
    member: bytes, closed: bytes, parcel: Parcel, keys: Mapping[int, messages.SealedKey]
) -> ClosedHeader:
    """The header of a parcel, with the keys that its elements need."""
    wanted = {item.sequence for item in parcel.items}
    parsed = (unchecked(data) for data in parcel.leaves)
    epochs = sorted({leaf.epoch for leaf in parsed if leaf.sequence in wanted and leaf.epoch in keys})
    return ClosedHeader(
        log_id=member,
        closed=closed,
        keys=tuple(keys[epoch] for epoch in epochs[: messages.MAX_KEYS]),
        leaves=parcel.leaves,
        items=parcel.items,
    )


def portions(records: Iterable[HandedRecord], shut: Sequence[int] = ()) -> Iterator[list[HandedRecord]]:
    """Groups records into offers; no group spans an unreadable record, since an answer names a range.

    shut: the numbers of the unreadable records so far, in order; it grows as records are read.
    """
    some: list[HandedRecord] = []
    size = 0
    for one in records:
        full = len(some) >= MAX_CLOSED_LEAVES or size + len(one.leaf) > MOST_LEAF_BYTES
        if some and (full or (shut and shut[-1] > some[-1].sequence)):
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one.leaf)
    if some:
        yield some


def cut(records: Iterable[HandedRecord], most_bytes: int) -> Iterator[Parcel]:
    """Cuts records into parcels of about this size. What the folder lost is sent empty and noted as gone."""
    leaves: list[bytes] = []
    items: list[messages.ParcelElement] = []
    parts: list[bytes] = []
    size = 0
    for one in records:
        stored = dict(one.elements)
        for name in messages.traveling(unchecked(one.leaf)):
            data = stored.get(name, b"")
            if items and size + len(data) > most_bytes:
                yield Parcel(tuple(leaves), tuple(items), tuple(parts))
                leaves, items, parts, size = [], [], [], 0
            if not leaves or leaves[-1] != one.leaf:
                leaves.append(one.leaf)
            items.append(messages.ParcelElement(sequence=one.sequence, name=name, length=len(data)))
            parts.append(data)
            size += len(data)
    if items:
        yield Parcel(tuple(leaves), tuple(items), tuple(parts))
