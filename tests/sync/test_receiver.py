"""What the receiver refuses, and what it makes of being told twice: a unit with a real ledger, no network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import SteppedTime
from receiver_twins import Joined
from sqlalchemy import select, update
from sync_twins import LoopbackLink, Unit, checked, converse, found_department

from storage import codec, merkle
from storage.checkpoint import Checkpoint, sign_checkpoint
from storage.leaf import origin_of
from storage.times import DAY_US, now_us
from sync import messages as m
from sync.department.ground.department_time import Clocks
from sync.department.server.server import Department
from sync.department.store import incidents
from sync.department.store import unit_logs as held
from sync.department.store.tables import alerts, elements, leaves, logs, receipts, tokens, units
from sync.department.units import documents as down
from sync.errors import BatchRefusedError, ConfigError, LinkError, RefusedByDepartmentError
from sync.membership import SyncFolder
from sync.succession import keep_keys, registration, succeed
from sync.vouch import FileUnitKey


@pytest.fixture
def unit(department: Department, tmp_path: Path) -> Iterator[Joined]:
    made = Joined(tmp_path / "unit", department, "unit")
    yield made
    made.close()


def incident_kinds(department: Department) -> list[str]:
    with department.store.read() as connection:
        return [one.kind for one in incidents.listed(connection)]


def size_held(department: Department, unit: Unit) -> int:
    with department.store.read() as connection:
        log = held.find_log(connection, unit.outbox.log_id)
        assert log is not None
        return log.frontier.size


def test_a_message_sent_twice_is_taken_once(department: Department, unit: Joined) -> None:
    unit.add(6)
    link = LoopbackLink(department)
    sent: list[tuple[str, bytes]] = []
    link.before = lambda name, data: sent.append((name, data)) or data  # type: ignore[func-returns-value]
    converse(unit, department, link)
    with department.store.read() as connection:
        before = [connection.execute(select(table)).all() for table in (leaves, elements, tokens)]
    for name, data in sent:
        if name in {"leaves", "parcel"}:
            department.receiver.answer(name, data)
    with department.store.read() as connection:
        assert [connection.execute(select(table)).all() for table in (leaves, elements, tokens)] == before
    assert incident_kinds(department) == []


def test_an_old_hello_replayed_is_no_rollback(department: Department, unit: Joined) -> None:
    link = LoopbackLink(department)
    sent: list[bytes] = []

    def note_hello(name: str, data: bytes) -> bytes:
        if name == "hello":
            sent.append(data)
        return data

    link.before = note_hello
    unit.add(2)
    converse(unit, department, link)
    unit.add(2)
    converse(unit, department)
    with pytest.raises(RefusedByDepartmentError, match="challenge"):
        department.receiver.answer("hello", sent[0])
    assert incident_kinds(department) == []


def test_a_rolled_back_card_is_refused_and_noted_at_both_ends(
    department: Department, unit: Joined, tmp_path: Path
) -> None:
    unit.add(2)
    unit.ledger.close()
    shutil.copytree(unit.path, tmp_path / "image")
    unit.reopen()
    unit.add(4)
    converse(unit, department)
    unit.ledger.close()
    shutil.rmtree(unit.path)
    shutil.copytree(tmp_path / "image", unit.path)
    unit.reopen()
    with pytest.raises(BatchRefusedError) as refused:
        converse(unit, department)
    assert refused.value.code == "rollback"
    assert incident_kinds(department) == ["rollback"]


def test_a_cloned_card_is_a_fork(department: Department, unit: Joined, tmp_path: Path) -> None:
    unit.add(2)
    unit.ledger.close()
    shutil.copytree(unit.path, tmp_path / "clone")
    unit.reopen()
    clone = Joined.__new__(Joined)
    from hw.clock import SystemClock
    from hw.secure_slot import LoopbackSlot
    from storage.ledger import Ledger

    clone.path, clone.home = tmp_path / "clone", tmp_path / "clone" / "home"
    clone.slot, clone.clock = LoopbackSlot(clone.path / "chip"), SystemClock()
    clone.folder = SyncFolder.of(clone.home)
    clone.ledger = Ledger.open(clone.home, clone.slot, clone.clock)
    unit.add(3)
    clone.add(5)
    converse(unit, department)
    with pytest.raises(BatchRefusedError) as refused:
        converse(clone, department)
    clone.close()
    assert refused.value.code == "fork"
    assert incident_kinds(department) == ["fork"]


def test_after_a_refusal_a_new_log_is_opened_and_reading_and_syncing_go_on(
    department: Department, unit: Joined
) -> None:
    unit.add(3)
    converse(unit, department)
    previous, old = unit.outbox.anchored_note(), unit.outbox.log_id
    with department.store.write() as connection:
        held.close_logs(connection, unit.folder.member().unit_id)
    unit.add(2)
    with pytest.raises(BatchRefusedError):
        converse(unit, department)
    keep_keys(unit.folder, old, unit.outbox.sealed_keys())
    unit.ledger.close()
    unit.ledger = succeed(
        unit.home, unit.slot, unit.clock, unit.folder, previous=previous, reason="closed by the test"
    )
    unit.add(4)
    with pytest.raises(RefusedByDepartmentError, match="vouched"):
        converse(unit, department)
    message = registration(
        unit.outbox, unit.folder, unit.folder.unit_key(), previous=previous, reason="closed by the test"
    )
    department.enrolment.answer("new-log", message)
    converse(unit, department)
    assert unit.outbox.opened_because() == (previous, "closed by the test")
    assert size_held(department, unit) >= 4
    assert "new-log" in incident_kinds(department)
    assert (unit.folder.path / "old" / old.hex()[:16] / "keys.cbor").exists()
    assert checked(department.home).problems == []


def test_an_incident_is_closed_by_two_people(department: Department, unit: Joined) -> None:
    with department.store.write() as connection:
        number = incidents.record(connection, kind="fork", detail="x", unit_id=None, log_id=None, now_us=1)
        assert not incidents.close(connection, number, "ann", 2)
        with pytest.raises(ConfigError, match="another one"):
            incidents.close(connection, number, "ann", 3)
        assert incidents.close(connection, number, "ben", 4)


def signed_leaves(unit: Joined, first: int, data: list[bytes], size: int | None = None) -> bytes:
    """A batch under the unit's own keys, with a checkpoint over exactly these leaves after the real ones."""
    real = unit.outbox.leaves(0, first) if first else []
    root = merkle.root_of(merkle.leaf_hash(one) for one in [*real, *data])
    key = Ed25519PrivateKey.from_private_bytes(unit.ledger.store.ring.log_key)
    head = Checkpoint(origin_of(unit.outbox.log_id), size or first + len(data), root)
    batch = m.LeafBatch(
        log_id=unit.outbox.log_id,
        first=first,
        leaves=tuple(data),
        checkpoint=sign_checkpoint(head, key),
        proof=(),
    )
    return m.seal_message(batch, unit.outbox.sign)


def test_leaves_that_leave_a_gap_are_refused_with_the_size_held(department: Department, unit: Joined) -> None:
    unit.add(4)
    data = unit.outbox.leaves(2, 2)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", signed_leaves(unit, 2, data))
    assert (refused.value.code, refused.value.held) == ("gap", 0)
    assert incident_kinds(department) == []


def swapped(real: list[bytes]) -> list[bytes]:
    return [real[0], real[2], real[1], *real[3:]]


def doubled(real: list[bytes]) -> list[bytes]:
    return [real[0], real[0], *real[1:]]


def flipped(real: list[bytes]) -> list[bytes]:
    return [*real[:-1], real[-1][:-1] + bytes([real[-1][-1] ^ 1])]


def left_out(real: list[bytes]) -> list[bytes]:
    return [*real[:1], *real[2:]]


def no_leaf(real: list[bytes]) -> list[bytes]:
    return [*real[:-1], b"\xd2\x84"]


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(swapped, id="two leaves swapped"),
        pytest.param(doubled, id="a leaf doubled"),
        pytest.param(flipped, id="a bit flipped"),
        pytest.param(left_out, id="a leaf left out"),
        pytest.param(no_leaf, id="no leaf at all"),
    ],
)
def test_bad_leaves_are_an_incident_and_nothing_of_the_batch_is_taken(
    department: Department, unit: Joined, attack: Callable[[list[bytes]], list[bytes]]
) -> None:
    unit.add(3)
    real = unit.outbox.leaves(0, unit.outbox.size())
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", signed_leaves(unit, 0, attack(real)))
    assert refused.value.code == "bad-leaf"
    assert size_held(department, unit) == 0
    assert incident_kinds(department) == ["bad-leaf"]


def test_leaves_that_do_not_make_the_signed_root_are_a_fork(department: Department, unit: Joined) -> None:
    unit.add(3)
    real = unit.outbox.leaves(0, unit.outbox.size())
    data = signed_leaves(unit, 0, real)
    key = Ed25519PrivateKey.from_private_bytes(unit.ledger.store.ring.log_key)
    head = Checkpoint(origin_of(unit.outbox.log_id), len(real), os.urandom(32))
    batch = m.open_message(m.LeafBatch, data, unit.ledger.public_key.public)
    forged = m.LeafBatch(
        log_id=batch.log_id,
        first=0,
        leaves=batch.leaves,
        checkpoint=sign_checkpoint(head, key),
        proof=(),
    )
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", m.seal_message(forged, unit.outbox.sign))
    assert refused.value.code == "fork"


def test_a_log_that_nobody_vouched_for_is_not_heard(department: Department, tmp_path: Path) -> None:
    stranger = Unit(tmp_path / "stranger")
    stranger.add(1)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", signed_leaves(stranger, 0, stranger.outbox.leaves(0, 1)))  # type: ignore[arg-type]
    stranger.close()
    assert refused.value.code == "unknown-log"


def test_another_units_signature_does_not_pass(department: Department, unit: Joined, tmp_path: Path) -> None:
    other = Joined(tmp_path / "other", department, "other")
    unit.add(1)
    wanted = m.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("receipt", m.seal_message(wanted, other.outbox.sign))
    other.close()
    assert refused.value.code == "signature"


def test_a_message_of_one_kind_does_not_pass_as_another(department: Department, unit: Joined) -> None:
    wanted = m.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("document", m.seal_message(wanted, unit.outbox.sign))
    assert refused.value.code == "signature"


def damage_parcels(data: bytes) -> bytes:
    """Turn a bit in the last element of a parcel."""
    return data[:-1] + bytes([data[-1] ^ 1])


def test_a_bad_record_is_asked_for_again_and_taken_when_it_comes_right(
    department: Department, unit: Joined
) -> None:
    unit.add(4)
    link = LoopbackLink(department)
    link.before = lambda name, data: damage_parcels(data) if name == "parcel" else data
    first = converse(unit, department, link)
    assert first.bad == 1
    assert converse(unit, department).bad == 0
    assert incident_kinds(department) == []
    assert checked(department.home).problems == []
    assert unit.outbox.received_to() > 4


def test_a_record_that_never_comes_right_is_an_incident_and_holds_nothing_up(
    department: Department, unit: Joined
) -> None:
    numbers = unit.add(1) + unit.add(3)
    link = LoopbackLink(department)

    def before(name: str, data: bytes) -> bytes:
        return damage_parcels(data) if name == "parcel" and len(data) > 2500 else data

    link.before = before
    for _ in range(3):
        converse(unit, department, link)
    assert "bad-record" in incident_kinds(department)
    book = unit.ledger.store.book
    received = [number for number in numbers if book.is_received(number)]
    assert len(received) == len(numbers) - 1
    converse(unit, department)
    assert checked(department.home).problems == []


def test_nothing_is_receipted_on_a_mere_tree_size(department: Department, unit: Joined) -> None:
    numbers = unit.add(3)
    link = LoopbackLink(department)

    def before(name: str, data: bytes) -> bytes:
        if name == "parcel":
            raise LinkError("cut before any content")
        return data

    link.before = before
    with pytest.raises(LinkError):
        converse(unit, department, link)
    wanted = m.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    answer = department.receiver.answer("receipt", m.seal_message(wanted, unit.outbox.sign))
    receipt = m.open_message(m.Receipt, answer, department.home.log_key().public_key())
    covered = {n for first, last in receipt.ranges for n in range(first, last + 1)}
    assert size_held(department, unit) > max(numbers)
    assert covered.isdisjoint(numbers)
    assert unit.outbox.anchored_size() > max(numbers)


def test_an_alert_goes_ahead_of_a_long_backlog_and_is_held_once(department: Department, unit: Joined) -> None:
    unit.add(210, size=40)
    (hit,) = unit.add(1, hit=True, size=40)
    link = LoopbackLink(department)
    converse(unit, department, link)
    assert link.names.index("alert") < link.names.index("leaves")
    with department.store.read() as connection:
        log = held.find_log(connection, unit.outbox.log_id)
        assert log is not None
        here = held.names_held(connection, log.log_no, [hit])
    assert {name for _, name in here} == {"text", "place", "patch", "overview"}
    assert checked(department.home).problems == []


def test_an_alert_is_taken_with_its_leaf_although_its_own_parcel_never_comes(
    department: Department, unit: Joined
) -> None:
    unit.add(210, size=40)
    (hit,) = unit.add(1, hit=True, size=40)
    link = LoopbackLink(department)

    def before(name: str, data: bytes) -> bytes:
        if name == "parcel":
            raise LinkError("the unit was never seen again")
        return data

    link.before = before
    with pytest.raises(LinkError):
        converse(unit, department, link)
    with department.store.read() as connection:
        log = held.find_log(connection, unit.outbox.log_id)
        assert log is not None
        here = held.names_held(connection, log.log_no, [hit])
        assert connection.execute(select(alerts)).all() == []
        assert [row.sequence for row in connection.execute(select(tokens))] == [hit]
    assert {name for _, name in here} == {"text", "place", "patch", "overview"}
    assert converse(unit, department).done
    assert checked(department.home).problems == []


def test_documents_come_down_signed_and_only_rise(department: Department, unit: Joined) -> None:
    from storage.errors import OutdatedError, SignatureError
    from sync.department.ground.home import load_ed25519
    from sync.department.units import documents as down
    from sync.documents import Carried

    command = load_ed25519(department.home.path / "command.key")

    def document(version: int, key: Ed25519PrivateKey = command) -> bytes:
        carried = Carried(
            name="update/camera",
            version=version,
            unit_id="",
            issued_us=1,
            expires_us=9,
            body=b"x" * 700_000,
        )
        return down.sign_document("update/camera", codec.to_bytes(carried), key)

    with department.store.write() as connection:
        down.publish(connection, "update/camera", 5, document(5), 1)
    made = converse(unit, department)
    assert made.documents == ("update/camera",)
    assert unit.outbox.document_version("update/camera") == 5
    assert (unit.folder.inbox / "update_camera.cbor").read_bytes() == document(5)
    with pytest.raises(OutdatedError):
        unit.outbox.take_document("update/camera", document(4))
    with pytest.raises(SignatureError):
        unit.outbox.take_document("update/camera", document(6, Ed25519PrivateKey.generate()))
    with pytest.raises(ConfigError, match="versions only rise"), department.store.write() as connection:
        down.publish(connection, "update/camera", 5, document(5), 1)


def test_a_log_cannot_be_claimed_by_a_second_unit(
    department: Department, unit: Joined, tmp_path: Path
) -> None:
    thief = Joined(tmp_path / "thief", department, "thief")
    from sync.enrolment import make_vouch

    vouch = make_vouch(thief.folder, thief.folder.unit_key(), unit.outbox.log_public)
    message = m.seal_message(m.NewLog(vouch=vouch), unit.outbox.sign)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.enrolment.answer("new-log", message)
    thief.close()
    assert refused.value.code == "wrong-device"


def test_a_vouch_by_another_key_is_refused(department: Department, unit: Joined, tmp_path: Path) -> None:
    from sync.vouch import Vouch, public_der, sign_vouch

    other = SyncFolder(tmp_path / "other")
    other.make()
    vouch = Vouch(
        unit=unit.folder.unit_key().public_der(),
        log_public=unit.outbox.log_public,
        tls_public=public_der(other.tls_private().public_key()),
        at_us=1,
    )
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.enrolment.answer(
            "renew", sign_vouch(vouch, FileUnitKey(cast("FileUnitKey", other.unit_key()).private))
        )
    assert refused.value.code == "malformed"


TAMPERINGS = [
    pytest.param(update(leaves).where(leaves.c.sequence == 2).values(leaf=b"x"), "record 2", id="a leaf"),
    pytest.param(update(logs).values(size=3), "tree", id="the size of a log"),
    pytest.param(
        update(elements).where(elements.c.name == "text").values(stored=b"y" * 300),
        "text",
        id="a sealed text",
    ),
    pytest.param(elements.delete().where(elements.c.name == "patch"), "account for", id="patches deleted"),
    pytest.param(update(logs).values(cosigned="x"), "co-signed", id="the co-signed checkpoint"),
    pytest.param(update(logs).values(vouch=b"x"), "vouch", id="the unit's word for its log"),
]


@pytest.mark.parametrize(("statement", "named"), TAMPERINGS)
def test_verify_names_what_was_tampered_with(
    department: Department, unit: Joined, statement: object, named: str
) -> None:
    unit.add(3)
    converse(unit, department)
    assert checked(department.home).problems == []
    with department.store.write() as connection:
        connection.execute(statement)  # type: ignore[call-overload]
    assert any(named in problem for problem in checked(department.home).problems)


def test_no_table_shows_a_plate(department: Department, unit: Joined) -> None:
    unit.add(2, text="PLATE42")
    converse(unit, department)
    department.store.shrink()
    everything = b"".join(path.read_bytes() for path in department.home.path.rglob("*") if path.is_file())
    assert b"PLATE42" not in everything


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(28, "No space left on device"), id="a full disk"),
        pytest.param(OSError(5, "I/O error"), id="a broken disk"),
        pytest.param(RuntimeError("7XKR219"), id="an error of ours"),
    ],
)
def test_what_fails_behind_the_receiver_is_said_in_a_signed_word(
    department: Department, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk was a 500 with a traceback; the unit keeps everything and tries later."""
    from desk_server import serving

    from sync.department.units.http_app import unit_app

    def fail(_day: int, _blobs: object) -> str:
        raise error

    unit = Joined(tmp_path / "unit", department, "unit")
    unit.add(2, size=20_000)
    monkeypatch.setattr(department.packs, "put", fail)
    key = department.home.log_key().public_key()
    with serving(unit_app(department.receiver, department.enrolment)) as client:

        class Link(LoopbackLink):
            def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
                answer = client.post(f"/v1/{name}", content=b"".join(pieces))
                if answer.status_code == 200:
                    return answer.content
                said = m.open_message(m.Refusal, answer.content, key)
                assert (answer.status_code, said.code) == (503, "unavailable")
                assert "7XKR219" not in said.what
                raise LinkError(said.what)

        with pytest.raises(LinkError, match="keep everything"):
            converse(unit, department, Link(department))
    monkeypatch.undo()
    assert converse(unit, department).done
    assert checked(department.home).problems == []
    unit.close()


def test_a_document_for_another_unit_is_given_to_that_unit_alone(
    department: Department, tmp_path: Path
) -> None:
    first, second = (Joined(tmp_path / name, department, name) for name in ("first", "second"))
    with department.store.read() as connection:
        ids = dict(connection.execute(select(units.c.name, units.c.unit_id)).all())
    with department.store.write() as connection:
        down.publish(connection, "configuration", 7, b"for the first", now_us(), ids["first"])
        down.publish(connection, "revocations", 8, b"for all", now_us())

    def asked(unit: Joined, name: str, version: int) -> bytes:
        wanted = m.DocumentWanted(log_id=unit.outbox.log_id, name=name, document_version=version, offset=0)
        answer = department.receiver.answer("document", m.seal_message(wanted, unit.outbox.sign))
        return m.open_message(m.DocumentPart, answer, department.home.log_key().public_key()).data

    assert asked(first, "configuration", 7) == b"for the first"
    assert asked(second, "revocations", 8) == b"for all"
    for unit, name, version in (
        (second, "configuration", 7),
        (first, "configuration", 6),
        (first, "none", 7),
    ):
        with pytest.raises(RefusedByDepartmentError, match="no such document for this unit"):
            asked(unit, name, version)
    first.close()
    second.close()


def test_a_receipt_that_is_asked_for_again_is_not_kept_again(department: Department, tmp_path: Path) -> None:
    unit = Joined(tmp_path / "unit", department, "unit")
    unit.add(3)
    assert converse(unit, department).done

    def kept() -> int:
        with department.store.read() as connection:
            return len(connection.execute(select(receipts.c.receipt_no)).all())

    before = kept()
    wanted = m.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    key = department.home.log_key().public_key()
    for _ in range(20):
        answer = department.receiver.answer("receipt", m.seal_message(wanted, unit.outbox.sign))
        assert m.open_message(m.Receipt, answer, key).ranges
    assert kept() <= before + 1
    assert checked(department.home).problems == []
    unit.close()


def test_two_units_bear_the_servers_clock_out_after_a_month_without_power(tmp_path: Path) -> None:
    """Their signed hellos say the time; one unit alone bears nothing out."""
    home = found_department(tmp_path / "department")
    ahead = [0]
    month = 30 * DAY_US
    clocks = Clocks(wall=lambda: now_us() + ahead[0], running=lambda: 0, boot=lambda: "one")
    department = Department(home, clocks)
    units = [
        Joined(tmp_path / name, department, name, time_source=SteppedTime(us=now_us())) for name in ("a", "b")
    ]
    for unit in units:
        assert converse(unit, department).done
    ahead[0] = month
    assert department.time.doubt() is not None
    for unit, doubt in zip(units, (True, False), strict=True):
        assert isinstance(unit.clock, SteppedTime)
        unit.clock.run(month)
        converse(unit, department)
        assert (department.time.doubt() is not None) == doubt
    for unit in units:
        unit.close()
    department.close()
