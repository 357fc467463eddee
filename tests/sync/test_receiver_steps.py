"""What the receiver takes, keeps and asks for again: at each limit, repeated and out of order."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from receiver_twins import Joined, Sender, batch, incident_kinds, signed_leaves, size_held
from sqlalchemy import select
from structlog.testing import capture_logs
from sync_twins import converse

from firmware.health.health_message import health_message
from firmware.health.report import HealthWatch
from hw.clock import SetClock
from hw.vitals import ScriptedBoard
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey, open_cosignatures
from storage.errors import SignatureError, StorageError
from storage.leaf import open_leaf, unchecked
from sync import messages, parcels
from sync.department.server.server import Department
from sync.department.store import unit_health, unit_logs
from sync.department.store.tables import alerts, receipts
from sync.department.units import documents
from sync.department.units.receiver import MAX_CHALLENGES, Receiver
from sync.errors import KeyServiceError, MessageError, RefusedByDepartmentError, StoreError
from sync.health import HealthHeld
from sync.pieces import PieceHeader, PieceHeld

NOW_US = 1_900_000_000_000_000


def bare(now_us: int = NOW_US) -> Receiver:
    """A receiver without a store, for its answers before and after storing."""
    nothing = cast(Any, None)
    return Receiver(
        nothing, nothing, nothing, Ed25519PrivateKey.generate(), "d", lambda: now_us, partials=nothing
    )


def test_of_the_challenges_the_oldest_are_forgotten() -> None:
    made = bare()
    given = [made.challenge() for _ in range(MAX_CHALLENGES + 2)]
    assert list(made._challenges) == given[2:]
    assert MAX_CHALLENGES == 4096


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MessageError("x"), "malformed"), (SignatureError("x"), "signature"),
        (StoreError("x"), "unavailable"), (KeyServiceError("x"), "unavailable"),
        (StorageError("x"), "unavailable"),
    ],
)  # fmt: skip
def test_each_error_behind_the_receiver_is_a_refusal_with_a_code(error: Exception, code: str) -> None:
    def fail(_data: bytes) -> messages.Message:
        raise error

    made = bare()
    made.health = fail  # type: ignore[assignment]
    with pytest.raises(RefusedByDepartmentError) as refused, capture_logs() as logged:
        made.answer("health", b"")
    assert refused.value.code == code
    assert [one["event"] for one in logged] == ["cannot_store"] * (code == "unavailable")


def test_a_refusal_is_signed_and_has_500_characters_at_most() -> None:
    made = bare()
    said = made.refusal(RefusedByDepartmentError("x" * 501, code="gap", held=7))
    assert messages.open_message(messages.Refusal, said, made._key.public_key()) == messages.Refusal(
        code="gap", what="x" * 500, held=7
    )


def test_a_log_that_is_gone_by_the_time_of_its_turn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bare()
    made.store = cast(Any, SimpleNamespace(read=contextlib.nullcontext))
    monkeypatch.setattr(unit_logs, "find_log", lambda _connection, _log_id: None)
    with (
        pytest.raises(RefusedByDepartmentError, match="no enrolled unit vouched for this log"),
        made._alone(cast(Any, SimpleNamespace(log_id=bytes(32)))),
    ):
        raise AssertionError("a log that is gone was taken")


def state(sender: Sender, **changes: object) -> messages.State:
    key = sender.department.home.log_key().public_key()
    return messages.open_message(messages.State, sender.say("hello", sender.hello(**changes)), key)


def held(sender: Sender, path: str, data: bytes) -> messages.LeavesHeld:
    key = sender.department.home.log_key().public_key()
    return messages.open_message(messages.LeavesHeld, sender.department.receiver.answer(path, data), key)


def test_a_hello_is_answered_with_what_is_held_and_what_waits(sender: Sender) -> None:
    department, unit_id = sender.department, sender.unit.folder.member().unit_id
    with department.store.write() as connection:
        for name, whose in (("b/2", ""), ("b/1", unit_id), ("a", ""), ("c", "another unit")):
            documents.publish(connection, name, 5, b"body", 1, whose)
    said = state(sender)
    names = [one.name for one in said.documents]
    assert names == sorted(names)  # a hot list's parts before its head
    assert {"a", "b/1", "b/2"} <= set(names)
    assert "c" not in names
    assert (said.size, said.complete_to, said.again) == (sender.held, sender.held, ())
    assert said.certificate_days == 90


@pytest.mark.parametrize("theirs", [0, 1, 2])
def test_a_hello_that_proves_from_another_size_is_not_compared(sender: Sender, theirs: int) -> None:
    """The answer with the newest co-signature was lost, so the unit's proof starts at its previous one."""
    size = sender.unit.outbox.size()
    proof = sender.unit.outbox.consistency(theirs, size) if theirs else []
    assert state(sender, held=theirs, proof=tuple(proof)).size == sender.held


def test_a_head_is_compared_from_the_first_record_on(department: Department, unit: Joined) -> None:
    department.receiver.answer("leaves", signed_leaves(unit, 0, unit.outbox.leaves(0, 1)))
    sender = Sender(department, unit, 1)
    assert size_held(department, unit) == 1
    with pytest.raises(RefusedByDepartmentError, match="do not lead to the signed checkpoint"):
        state(sender, checkpoint=sender.head(2, b"\7" * 32))


def test_the_same_head_needs_no_proof(sender: Sender) -> None:
    checkpoint = sender.head(sender.held, sender.root(sender.held))
    assert state(sender, checkpoint=checkpoint, proof=(bytes(32),)).size == sender.held
    assert incident_kinds(sender.department) == []


def test_a_checkpoint_is_co_signed_once_it_is_all_here_and_not_before(sender: Sender) -> None:
    outbox, department = sender.unit.outbox, sender.department
    size, head = outbox.size(), outbox.head()
    department.receiver._now_us = lambda: NOW_US

    def batch_of(first: int, end: int) -> bytes:
        made = messages.LeafBatch(
            log_id=outbox.log_id, first=first, leaves=tuple(outbox.leaves(first, end - first)),
            checkpoint=head, proof=tuple(outbox.consistency(end, size)) if end < size else (),
        )  # fmt: skip
        return messages.seal_message(made, outbox.sign)

    first = batch_of(sender.held, sender.held + 1)
    part = held(sender, "leaves", first)
    assert (part.size, part.cosigned) == (sender.held + 1, None)
    whole = held(sender, "leaves", batch_of(sender.held + 1, size))
    assert whole.size == size
    assert whole.cosigned is not None
    key = NoteKey(department.receiver.origin, department.home.log_key().public_key(), TYPE_COSIGNATURE)
    assert [one.time_s for one in open_cosignatures(whole.cosigned, [key])] == [NOW_US // 1_000_000]
    department.receiver._now_us = lambda: NOW_US + 9_000_000
    for again in (first, batch_of(sender.held, size), batch_of(0, 2)):  # a repeat changes nothing
        assert held(sender, "leaves", again) == whole
    assert incident_kinds(department) == []


def test_an_old_batch_under_an_old_head_is_taken_for_what_it_is(sender: Sender) -> None:
    real = sender.unit.outbox.leaves(0, 2)
    assert held(sender, "leaves", signed_leaves(sender.unit, 0, real)).size == sender.held
    assert incident_kinds(sender.department) == []


def test_a_leaf_of_another_log_under_the_same_key_is_refused(sender: Sender) -> None:
    (data,) = sender.unit.outbox.leaves(sender.held, 1)
    key = Ed25519PrivateKey.from_private_bytes(sender.unit.ledger.store.ring.log_key)
    other = replace(open_leaf(data, key.public_key()), log_id=bytes(32)).sign(key)
    with pytest.raises(RefusedByDepartmentError, match="belongs to another log or place") as refused:
        held(sender, "leaves", signed_leaves(sender.unit, sender.held, [other]))
    assert refused.value.code == "bad-leaf"
    assert size_held(sender.department, sender.unit) == sender.held


@pytest.mark.parametrize("beyond", [0, 1])
def test_an_alert_for_the_next_record_or_a_later_one_is_taken_ahead(sender: Sender, beyond: int) -> None:
    number = sender.held + beyond
    (data,) = sender.unit.outbox.leaves(number, 1)
    name = messages.traveling(unchecked(data))[0]
    stored = sender.unit.outbox.stored(number, name)
    item = messages.ParcelElement(sequence=number, name=name, length=len(stored))
    sender.carry("alert", replace(sender.parcel(number, name, data), items=(item,)), stored)
    with sender.department.store.read() as connection:
        assert list(connection.execute(select(alerts.c.sequence)).scalars()) == [number]
    assert converse(sender.unit, sender.department).done


def test_an_alert_that_names_no_element_is_of_no_place(sender: Sender) -> None:
    (data,) = sender.unit.outbox.leaves(sender.held, 1)
    with pytest.raises(RefusedByDepartmentError, match="belongs to another log or place"):
        sender.carry("alert", replace(sender.parcel(sender.held, "text", data), items=()))


def test_a_document_is_given_in_parts_up_to_its_end(sender: Sender) -> None:
    whole = bytes(range(256)) * 1024 + b"end"
    with sender.department.store.write() as connection:
        documents.publish(connection, "update/camera", 5, whole, 1)
    key = sender.department.home.log_key().public_key()

    def part(offset: int) -> bytes:
        wanted = messages.DocumentWanted(
            log_id=sender.unit.outbox.log_id, name="update/camera", document_version=5, offset=offset
        )
        said = messages.open_message(messages.DocumentPart, sender.say("document", wanted), key)
        assert (said.total, said.offset) == (len(whole), offset)
        return said.data

    assert [part(at) for at in (0, 3, 256 * 1024, len(whole))] == [
        whole[: 256 * 1024], whole[3 : 3 + 256 * 1024], b"end", b""
    ]  # fmt: skip


def test_where_nothing_is_received_no_receipt_is_kept(sender: Sender) -> None:
    key = sender.department.home.log_key().public_key()

    def kept() -> int:
        with sender.department.store.read() as connection:
            return len(connection.execute(select(receipts.c.receipt_no)).all())

    before = kept()
    wanted = messages.ReceiptWanted(log_id=sender.unit.outbox.log_id, first=sender.held)
    said = messages.open_message(messages.Receipt, sender.say("receipt", wanted), key)
    assert (said.ranges, said.size) == ((), sender.held)
    assert kept() == before


def test_a_piece_of_what_is_here_or_given_up_is_answered_as_done(sender: Sender) -> None:
    unit, department = sender.unit, sender.department
    outbox = unit.outbox
    held(sender, "leaves", batch(sender, sender.held))
    number = next(
        at
        for at in range(sender.held, outbox.size())
        if "text" in unchecked(outbox.leaves(at, 1)[0]).elements
    )
    key = department.home.log_key().public_key()

    def piece(name: str) -> PieceHeld:
        header = PieceHeader(
            log_id=outbox.log_id, keys=(), sequence=number, name=name, total=5, offset=0, length=0
        )
        sealed = messages.seal_message(header, outbox.sign)
        data = b"".join(parcels.frame_parcel(sealed, [b""]))
        return messages.open_message(PieceHeld, department.receiver.answer("piece", data), key)

    names = messages.traveling(unchecked(outbox.leaves(number, 1)[0]))
    assert [(piece(name).done, piece(name).held) for name in names] == [(False, 0)] * 4
    items = tuple(messages.ParcelElement(sequence=number, name=name, length=0) for name in names[:3])
    sender.carry("parcel", replace(sender.parcel(number, ""), items=items), b"")  # no longer on the unit
    assert [(piece(name).done, piece(name).held) for name in names] == [(True, 5)] * 3 + [(False, 0)]
    items = tuple(messages.ParcelElement(sequence=number, name=name, length=0) for name in names[3:])
    sender.carry("parcel", replace(sender.parcel(number, ""), items=items), b"")
    assert piece("portrait").done  # nothing more of this record is wanted


def test_the_newest_report_of_a_unit_is_kept(sender: Sender) -> None:
    report = HealthWatch(board=ScriptedBoard(), now=SetClock(1).now, watching=False).report()
    for at_us in (5, 6):
        said = replace(health_message(report, sender.unit.outbox.log_id), at_us=at_us)
        answer = sender.say("health", said)
        key = sender.department.home.log_key().public_key()
        assert messages.open_message(HealthHeld, answer, key).at_us == at_us
        with sender.department.store.read() as connection:
            assert [one.report for one in unit_health.states(connection)] == [said]
