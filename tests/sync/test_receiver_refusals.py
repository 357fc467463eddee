"""A forged or mistaken message, signed with the unit's keys, for each refusal of the receiver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from receiver_twins import Sender, batch, incident_kinds, other_leaf, signed_leaves, size_held
from sqlalchemy import update
from sync_twins import LoopbackLink, converse

from storage import envelope
from storage.errors import StorageError
from storage.leaf import unchecked
from sync import messages
from sync.department.store.tables import units
from sync.department.units import documents
from sync.errors import KeyServiceError, LinkError, RefusedByDepartmentError, StoreError
from sync.pieces import PieceHeader


def no_such_message(sender: Sender) -> None:
    sender.say("greeting", sender.hello())


def of_a_log_without_a_vouch(sender: Sender) -> None:
    sender.say("receipt", messages.ReceiptWanted(log_id=bytes(32), first=0))


def of_a_revoked_unit(sender: Sender) -> None:
    with sender.department.store.write() as connection:
        connection.execute(update(units).values(revoked_us=1, revoked_why="stolen"))
    sender.say("hello", sender.hello())


def with_a_challenge_of_its_own(sender: Sender) -> None:
    sender.say("hello", sender.hello(nonce=bytes(messages.NONCE_BYTES)))


def with_a_challenge_used_before(sender: Sender) -> None:
    hello = sender.hello()
    sender.say("hello", hello)
    sender.say("hello", hello)


def with_another_past(sender: Sender) -> None:
    sender.say("hello", sender.hello(checkpoint=sender.head(sender.held, b"\7" * 32)))


def with_a_shorter_past(sender: Sender) -> None:
    sender.say("hello", sender.hello(checkpoint=sender.head(sender.held - 1, sender.root(sender.held - 1))))


def with_a_head_that_does_not_follow(sender: Sender) -> None:
    sender.say("hello", sender.hello(checkpoint=sender.head(sender.held + 1, b"\7" * 32)))


def with_a_head_that_is_no_note(sender: Sender) -> None:
    sender.say("hello", sender.hello(checkpoint="nothing\n"))


def leaves_of_a_closed_log(sender: Sender) -> None:
    with pytest.raises(RefusedByDepartmentError, match="its history differs"):
        with_another_past(sender)
    sender.department.receiver.answer("leaves", batch(sender, sender.held))


def leaves_with_a_gap(sender: Sender) -> None:
    sender.department.receiver.answer("leaves", batch(sender, sender.held + 1))


def leaves_that_were_other_ones(sender: Sender) -> None:
    data = sender.unit.outbox.leaves(sender.held - 1, 2)
    sender.department.receiver.answer(
        "leaves", signed_leaves(sender.unit, sender.held - 1, [other_leaf(sender, sender.held - 1), data[1]])
    )


def leaves_beyond_their_checkpoint(sender: Sender) -> None:
    sent = messages.LeafBatch(
        log_id=sender.unit.outbox.log_id,
        first=sender.held,
        leaves=tuple(sender.unit.outbox.leaves(sender.held, 2)),
        checkpoint=sender.head(sender.held + 1, sender.root(sender.held + 1)),
        proof=(),
    )
    sender.say("leaves", sent)


def a_leaf_of_another_place(sender: Sender) -> None:
    (data,) = sender.unit.outbox.leaves(sender.held + 1, 1)
    sender.department.receiver.answer("leaves", signed_leaves(sender.unit, sender.held, [data]))


def a_leaf_that_another_alert_brought(sender: Sender) -> None:
    outbox = sender.unit.outbox
    sealed = outbox.leaves(sender.held, outbox.size() - sender.held)
    first = next(at for at, data in enumerate(sealed, sender.held) if "text" in unchecked(data).elements)
    sender.carry("alert", sender.parcel(first, "text", other_leaf(sender, first)), b"x")
    sender.department.receiver.answer("leaves", batch(sender, sender.held))


def a_parcel_that_is_an_alert(sender: Sender) -> None:
    sender.carry("parcel", sender.parcel(sender.held, "text", other_leaf(sender, sender.held)), b"x")


def an_alert_without_a_leaf(sender: Sender) -> None:
    sender.carry("alert", sender.parcel(sender.held, "text"), b"x")


def an_alert_for_a_held_record(sender: Sender) -> None:
    sender.carry("alert", sender.parcel(sender.held - 1, "text", other_leaf(sender, sender.held - 1)), b"x")


def an_alert_for_another_place(sender: Sender) -> None:
    sender.carry("alert", sender.parcel(sender.held + 1, "text", other_leaf(sender, sender.held)), b"x")


def a_parcel_ahead_of_its_leaf(sender: Sender) -> None:
    sender.carry("parcel", sender.parcel(sender.held, "text"), b"x")


def a_parcel_of_no_such_element(sender: Sender) -> None:
    sender.carry("parcel", sender.parcel(sender.held - 1, "portrait"), b"x")


def a_piece_ahead_of_its_leaf(sender: Sender) -> None:
    header = PieceHeader(
        log_id=sender.unit.outbox.log_id,
        keys=(),
        sequence=sender.held,
        name="text",
        total=2,
        offset=0,
        length=1,
    )
    sender.carry("piece", header, b"x")


def a_document_past_its_end(sender: Sender) -> None:
    with sender.department.store.write() as connection:
        documents.publish(connection, "update/camera", 5, b"body", 1)
    wanted = messages.DocumentWanted(
        log_id=sender.unit.outbox.log_id, name="update/camera", document_version=5, offset=5
    )
    sender.say("document", wanted)


REFUSALS = [
    (no_such_message, "malformed", "no such message"),
    (of_a_log_without_a_vouch, "unknown-log", "no enrolled unit vouched for this log"),
    (of_a_revoked_unit, "revoked", "this unit was revoked"),
    (with_a_challenge_of_its_own, "stale", "the challenge is unknown or was used"),
    (with_a_challenge_used_before, "stale", "the challenge is unknown or was used"),
    (with_another_past, "fork", "its history differs from the"),
    (with_a_shorter_past, "rollback", "are held here"),
    (with_a_head_that_does_not_follow, "fork", "do not lead to the signed checkpoint"),
    (with_a_head_that_is_no_note, "signature", "checkpoint: "),
    (leaves_of_a_closed_log, "closed", "this log was closed after an incident"),
    (leaves_with_a_gap, "gap", "is next"),
    (leaves_that_were_other_ones, "fork", "not the records that are held before"),
    (leaves_beyond_their_checkpoint, "malformed", "more leaves than the checkpoint covers"),
    (a_leaf_of_another_place, "bad-leaf", "belongs to another log or place"),
    (a_leaf_that_another_alert_brought, "fork", "came earlier as a different alert"),
    (a_parcel_that_is_an_alert, "malformed", "an alert goes to /v1/alert"),
    (an_alert_without_a_leaf, "malformed", "an alert carries its leaf"),
    (an_alert_for_a_held_record, "fork", "is held with other content"),
    (an_alert_for_another_place, "bad-leaf", "belongs to another log or place"),
    (a_parcel_ahead_of_its_leaf, "gap", "is not held yet: send its leaf first"),
    (a_parcel_of_no_such_element, "malformed", "has no such element to send"),
    (a_piece_ahead_of_its_leaf, "gap", "is not held yet: send its leaf first"),
    (a_document_past_its_end, "malformed", "offset past the document's end"),
]


@pytest.mark.parametrize(
    ("attack", "code", "words"), [pytest.param(*one, id=one[0].__name__) for one in REFUSALS]
)
def test_the_receiver_refuses_and_takes_nothing(
    sender: Sender, attack: Callable[[Sender], None], code: str, words: str
) -> None:
    with pytest.raises(RefusedByDepartmentError, match=words) as refused:
        attack(sender)
    assert refused.value.code == code
    assert size_held(sender.department, sender.unit) == sender.held
    assert incident_kinds(sender.department) == (
        ["fork"] if code == "closed" else [code] * (code in messages.INCIDENTS)
    )


class CutDocument(LoopbackLink):
    """A department that sends a document's second part with a gap after the first."""

    def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
        data = super().post(name, pieces)
        if name != "document":
            return data
        key = self._department.home.log_key()
        part = messages.open_message(messages.DocumentPart, data, key.public_key())
        moved = replace(part, offset=part.offset + 1)
        return messages.seal_message(moved, lambda body, context: envelope.sign(body, key, context=context))


def test_a_part_of_a_document_that_does_not_follow_is_refused_by_the_unit(sender: Sender) -> None:
    with sender.department.store.write() as connection:
        documents.publish(connection, "update/camera", 5, b"body", 1)
    with pytest.raises(LinkError, match="a piece of a document that does not follow"):
        converse(sender.unit, sender.department, CutDocument(sender.department))
    assert sender.unit.outbox.document_version("update/camera") == 0


@pytest.mark.parametrize("error", [StoreError("away"), KeyServiceError("away"), StorageError("away")])
def test_what_cannot_be_stored_is_refused_as_unavailable_and_kept_by_the_unit(
    sender: Sender, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sender.department.store, "write", fail)
    with pytest.raises(RefusedByDepartmentError, match="keep everything, try later") as refused:
        sender.department.receiver.answer("leaves", batch(sender, sender.held))
    assert refused.value.code == "unavailable"
    monkeypatch.undo()
    assert converse(sender.unit, sender.department).done
    assert size_held(sender.department, sender.unit) > sender.held
