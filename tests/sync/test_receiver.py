"""What the receiver refuses and how it handles repeats, with a unit's real ledger and without a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import SteppedTime
from receiver_twins import Joined, incident_kinds, signed_leaves, size_held
from sqlalchemy import select
from sync_twins import LoopbackLink, Unit, bare_home, checked, converse, issue_code

from storage import codec
from storage.errors import LedgerError
from storage.times import DAY_US, now_us
from sync import messages
from sync.department.ground.department_time import Clocks
from sync.department.server.server import Department
from sync.department.store import unit_logs
from sync.department.store.tables import elements, leaves, tokens, units
from sync.department.units import documents as down
from sync.errors import BatchRefusedError, InvalidInputError, RefusedByDepartmentError
from sync.membership import SyncFolder
from sync.rollover import keep_keys, registration, roll_over
from sync.vouch import FileUnitKey


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


def test_an_old_hello_replayed_is_not_a_rollback(department: Department, unit: Joined) -> None:
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


@pytest.mark.one_python
def test_after_a_refusal_a_new_log_is_opened_and_reading_and_syncing_continue(
    department: Department, unit: Joined
) -> None:
    unit.add(3)
    converse(unit, department)
    previous, old = unit.outbox.anchored_note(), unit.outbox.log_id
    with department.store.write() as connection:
        unit_logs.close_logs(connection, unit.folder.member().unit_id)
    unit.add(2)
    with pytest.raises(BatchRefusedError):
        converse(unit, department)
    keep_keys(unit.folder, old, unit.outbox.sealed_keys())
    unit.ledger.close()
    unit.ledger = roll_over(
        unit.home, unit.slot, unit.clock, unit.folder, previous=previous, reason="closed by the test"
    )
    unit.add(4)
    with pytest.raises(RefusedByDepartmentError, match="vouched"):
        converse(unit, department)
    message = registration(
        unit.outbox, unit.folder, unit.folder.unit_key(), previous=previous, reason="closed by the test"
    )
    department.enrollment.answer("new-log", message)
    converse(unit, department)
    assert unit.outbox.opened_because() == (previous, "closed by the test")
    assert size_held(department, unit) >= 4
    assert "new-log" in incident_kinds(department)
    assert (unit.folder.path / "old" / old.hex()[:16] / "keys.cbor").exists()
    assert checked(department.home).problems == []


def test_a_log_is_not_set_aside_over_one_that_was(department: Department, unit: Joined) -> None:
    unit.add(1)
    converse(unit, department)
    unit.ledger.close()
    aside = unit.folder.path / "old" / unit.outbox.log_id.hex()[:16] / "store"
    aside.mkdir(parents=True)
    with pytest.raises(LedgerError, match="was set aside before"):
        roll_over(unit.home, unit.slot, unit.clock, unit.folder, previous=None, reason="test")
    unit.reopen()


def test_a_log_without_a_voucher_is_refused(department: Department, tmp_path: Path) -> None:
    stranger = Unit(tmp_path / "stranger")
    stranger.add(1)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", signed_leaves(stranger, 0, stranger.outbox.leaves(0, 1)))  # type: ignore[arg-type]
    stranger.close()
    assert refused.value.code == "unknown-log"


def test_another_units_signature_does_not_pass(department: Department, unit: Joined, tmp_path: Path) -> None:
    other = Joined(tmp_path / "other", department, "other")
    unit.add(1)
    wanted = messages.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("receipt", messages.seal_message(wanted, other.outbox.sign))
    other.close()
    assert refused.value.code == "signature"


def test_a_message_of_one_kind_does_not_pass_as_another(department: Department, unit: Joined) -> None:
    wanted = messages.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("document", messages.seal_message(wanted, unit.outbox.sign))
    assert refused.value.code == "signature"


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
    with pytest.raises(InvalidInputError, match="versions only rise"), department.store.write() as connection:
        down.publish(connection, "update/camera", 5, document(5), 1)


def test_a_log_cannot_be_claimed_by_a_second_unit(
    department: Department, unit: Joined, tmp_path: Path
) -> None:
    thief = Joined(tmp_path / "thief", department, "thief")
    from sync.membership import make_vouch

    vouch = make_vouch(thief.folder, thief.folder.unit_key(), unit.outbox.log_public)
    message = messages.seal_message(messages.NewLog(vouch=vouch), unit.outbox.sign)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.enrollment.answer("new-log", message)
    thief.close()
    assert refused.value.code == "wrong-device"
    assert "make a home of this unit's own in an empty folder" in refused.value.what


def test_a_second_unit_under_a_taken_name_is_refused_with_what_to_ask_for(
    department: Department, tmp_path: Path
) -> None:
    codes = [issue_code(department.home, "car 9") for _ in range(2)]  # two, before either is used
    first = Joined(tmp_path / "first", department, "car 9", code=codes[0])
    with pytest.raises(RefusedByDepartmentError, match="ask for a code under another name"):
        Joined(tmp_path / "second", department, "car 9", code=codes[1])
    first.close()


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
        department.enrollment.answer(
            "renew", sign_vouch(vouch, FileUnitKey(cast("FileUnitKey", other.unit_key()).private))
        )
    assert refused.value.code == "malformed"


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
        wanted = messages.DocumentWanted(
            log_id=unit.outbox.log_id, name=name, document_version=version, offset=0
        )
        answer = department.receiver.answer("document", messages.seal_message(wanted, unit.outbox.sign))
        return messages.open_message(
            messages.DocumentPart, answer, department.home.log_key().public_key()
        ).data

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


def test_two_units_bear_the_servers_clock_out_after_a_month_without_power(tmp_path: Path) -> None:
    """Their signed hellos have the time; a single unit confirms nothing."""
    home = bare_home(tmp_path / "department")
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
