"""The unit's defenses against a department that lies or replays with valid signatures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flipped import flip
from receiver_twins import Joined
from sync_twins import LoopbackLink, converse

from storage import envelope
from storage.errors import StorageError
from sync import messages
from sync.department.server.server import Department
from sync.department.units import documents
from sync.errors import LinkError, RefusedByDepartmentError
from sync.runner import Runner
from sync.schedule import Schedule

Lie = Callable[[messages.Message], messages.Message]
ANSWERS: dict[str, type[messages.Message]] = {
    "hello": messages.State,
    "leaves": messages.LeavesHeld,
    "parcel": messages.ParcelHeld,
    "receipt": messages.Receipt,
    "document": messages.DocumentPart,
}


class LyingLink(LoopbackLink):
    """Changes one kind of answer and signs it again with the department's key."""

    def __init__(self, department: Department, name: str, lie: Lie) -> None:
        super().__init__(department)
        self._key, self._name, self._lie, self.lies = department.home.log_key(), name, lie, 0

    def post(self, name: str, pieces: list[bytes]) -> bytes:  # type: ignore[override]
        data = super().post(name, pieces)
        if name != self._name:
            return data
        self.lies += 1
        told = self._lie(messages.open_message(ANSWERS[name], data, self._key.public_key()))
        return messages.seal_message(
            told, lambda body, context: envelope.sign(body, self._key, context=context)
        )


def of(**changes: object) -> Lie:
    return lambda message: replace(message, **changes)  # type: ignore[arg-type]


def fewer(message: messages.Message) -> messages.Message:
    assert isinstance(message, messages.LeavesHeld)
    return replace(message, size=message.size - 1, cosigned=None)


LIES = [
    pytest.param("hello", of(log_id=bytes(32)), LinkError, "another log", id="a state of another log"),
    pytest.param("hello", of(nonce=bytes(messages.NONCE_BYTES)), LinkError, "another hello",
                 id="a state for another hello, replayed"),
    pytest.param("leaves", of(log_id=bytes(32)), LinkError, "another log", id="records of another log held"),
    pytest.param("leaves", fewer, LinkError, "are held, but", id="fewer records held than were sent"),
    pytest.param("leaves", of(cosigned="nothing\n"), StorageError, "signed note", id="no co-signature"),
    pytest.param("parcel", of(log_id=bytes(32)), LinkError, "another log", id="a parcel of another log held"),
    pytest.param("receipt", of(log_id=bytes(32)), LinkError, "another log", id="a receipt for another log"),
    pytest.param("receipt", of(root=b"\1" * 32), StorageError, "a different history", id="another tree"),
    pytest.param("receipt", of(root=bytes(32)), StorageError, "in the tree", id="a receipt of no tree"),
    pytest.param("receipt", of(size=1 << 40), StorageError, "not here", id="a receipt for records to come"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lie", "error", "word"), LIES)
def test_a_false_answer_under_the_right_signature_is_refused_and_destroys_nothing(
    department: Department, unit: Joined, name: str, lie: Lie, error: type[Exception], word: str
) -> None:
    numbers = unit.add(3)
    link = LyingLink(department, name, lie)
    with pytest.raises(error, match=word):
        converse(unit, department, link)
    assert link.lies
    assert unit.outbox.received_to() == 0
    assert unit.ledger.store.stored(unit.ledger.store.leaf(numbers[0]), "text")
    converse(unit, department)  # an honest conversation completes it
    assert unit.outbox.received_to() > numbers[-1]


@pytest.mark.parametrize(
    "lie", [of(offset=1, data=b"ody"), of(data=b"")], ids=["another place", "nothing of more"]
)
def test_a_piece_of_a_document_that_does_not_follow_ends_the_sync(
    department: Department, unit: Joined, lie: Lie
) -> None:
    with department.store.write() as connection:
        documents.publish(connection, "update/camera", 5, b"body", 1)
    link = LyingLink(department, "document", lie)
    with pytest.raises(LinkError, match="a piece of a document that does not follow"):
        converse(unit, department, link)
    assert link.lies == 1


def test_a_message_of_another_kind_is_not_an_answer(department: Department, unit: Joined) -> None:
    unit.add(1)
    link = LoopbackLink(department)
    kept: list[bytes] = []

    class Mixed(LoopbackLink):
        def post(self, name: str, pieces: list[bytes]) -> bytes:  # type: ignore[override]
            data = link.post(name, pieces)
            kept.append(data)
            return kept[-2] if name == "leaves" else data

    with pytest.raises(LinkError, match="not the department's"):
        converse(unit, department, Mixed(department))


def test_an_answer_by_another_key_is_not_valid(department: Department, unit: Joined) -> None:
    class Stranger(LoopbackLink):
        def post(self, name: str, pieces: list[bytes]) -> bytes:  # type: ignore[override]
            data = super().post(name, pieces)
            return flip(data) if name == "hello" else data

    with pytest.raises(LinkError, match="not the department's"):
        converse(unit, department, Stranger(department))


def test_a_new_log_that_another_answers_for_waits_for_the_department(
    department: Department, unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, such an answer counted as an unforeseen error of the uplink."""

    class Unknown(LoopbackLink):
        def post(self, name: str, pieces: list[bytes]) -> bytes:  # type: ignore[override]
            if name == "hello":
                raise RefusedByDepartmentError("is not known", code="unknown-log")
            return b"<html>" if name == "new-log" else super().post(name, pieces)

    monkeypatch.setattr("sync.runner.open_link", lambda *_words, **_options: Unknown(department))
    monkeypatch.setattr("sync.runner.renew_if_due", lambda *_words: False)
    made = Runner(unit.outbox, unit.folder, Schedule()).attempt()
    assert made.outcome == "link"
    assert "not the department's" in made.what


@pytest.mark.parametrize("length", [0, messages.NONCE_BYTES - 1, messages.NONCE_BYTES + 1])
def test_a_challenge_of_the_wrong_length_is_refused(
    department: Department, unit: Joined, length: int
) -> None:
    class Short(LoopbackLink):
        def post(self, name: str, pieces: list[bytes]) -> bytes:  # type: ignore[override]
            return bytes(length) if name == "challenge" else super().post(name, pieces)

    with pytest.raises(LinkError, match="wrong length"):
        converse(unit, department, Short(department))


def test_a_receipt_that_says_nothing_new_is_not_logged_again(department: Department, unit: Joined) -> None:
    unit.add(2)
    receipts: list[bytes] = []

    class Kept(LoopbackLink):
        def post(self, name: str, pieces: list[bytes]) -> bytes:  # type: ignore[override]
            data = super().post(name, pieces)
            receipts.extend([data] if name == "receipt" else [])
            return data

    converse(unit, department, Kept(department))
    size = unit.outbox.size()
    for _ in range(3):
        assert unit.outbox.take_receipt(receipts[0]) is None
    assert unit.outbox.size() == size


def test_records_that_are_asked_for_again_get_their_receipt(department: Department, unit: Joined) -> None:
    """A department restored from an older backup asks again for what it lost."""
    unit.add(2)
    converse(unit, department)
    first = unit.outbox.received_to()
    unit.add(2)
    asked: list[int] = []

    class Again(LoopbackLink):
        def post(self, name: str, pieces: list[bytes]) -> bytes:  # type: ignore[override]
            if name == "receipt":
                public = unit.ledger.public_key.public
                asked.append(messages.open_message(messages.ReceiptWanted, b"".join(pieces), public).first)
            data = super().post(name, pieces)
            if name != "hello":
                return data
            key = department.home.log_key()
            state = messages.open_message(messages.State, data, key.public_key())
            again = (first - 1,)
            return messages.seal_message(
                replace(state, again=again, complete_to=max(state.complete_to, first)),
                lambda body, context: envelope.sign(body, key, context=context),
            )

    converse(unit, department, Again(department))
    assert asked == [first - 1]
