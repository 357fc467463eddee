"""Sync brings the content of a closed log to the department whole, once and marked, but no forgeries."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from receiver_twins import Joined, incident_kinds
from sqlalchemy import func, select
from structlog.testing import capture_logs
from sync_twins import LoopbackLink, converse

from storage import files
from storage.leaf import unchecked
from sync import closed_delivery, messages, parcels
from sync.closed_delivery import WHOLE, ClosedDelivery, Delivered, Parcel, header_of, portions
from sync.closed_parcels import ClosedHeader, ClosedHeld
from sync.department.server.server import Department
from sync.department.server.verify import Checker
from sync.department.store import closed_records, unit_logs
from sync.department.store.tables import elements, logs, tokens
from sync.department.units import documents
from sync.errors import LinkError, RefusedByDepartmentError
from sync.handover import ANSWERS, HandedRecord, closed_logs, open_handover
from sync.membership import SyncFolder
from sync.rollover import open_or_roll_over, registration
from sync.runner import _ended
from sync.uplink import SyncProgress


def close_the_log(unit: Joined, department: Department) -> Path:
    """Act as after a fork: set the log aside with its keys, open another, and inform the department."""
    folder = unit.close_log()
    register(unit, department)
    return folder


def register(unit: Joined, department: Department) -> None:
    message = registration(
        unit.outbox, unit.folder, unit.folder.unit_key(), previous=None, reason="another log"
    )
    department.enrollment.answer("new-log", message)


def hand_over(
    unit: Joined, department: Department, *, link: LoopbackLink | None = None, parcel_bytes: int = 1 << 20
) -> Delivered:
    key = department.home.log_key().public_key()
    return ClosedDelivery(unit.outbox, link or LoopbackLink(department), key, parcel_bytes=parcel_bytes).run(
        unit.folder
    )


def texts_held(department: Department) -> int:
    with department.store.read() as connection:
        query = select(func.count()).select_from(elements).where(elements.c.name == "text")
        found = int(connection.execute(query).scalar_one())
        assert found == connection.execute(select(func.count()).select_from(tokens)).scalar_one()
        return found


def check(department: Department) -> list[str]:
    key = department.home.log_key().public_key()
    return Checker(department.store, department.keys, department.packs, key).run().problems


def test_unsent_reads_of_a_closed_log_arrive_by_the_next_sync_and_the_alarm_ends(
    unit: Joined, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.add(2)
    converse(unit, department)
    unit.add(5)
    size = unit.outbox.size()
    close_the_log(unit, department)
    assert [one.reads for one in closed_logs(unit.folder)] == [5]
    done = hand_over(unit, department)
    assert done.records == size
    assert done.bad == 0
    assert texts_held(department) == 7
    assert closed_logs(unit.folder) == []
    assert check(department) == []
    link = LoopbackLink(department)
    monkeypatch.setattr(closed_delivery, "open_handover", None)  # the folder is not even read
    assert hand_over(unit, department, link=link) == Delivered()
    assert link.names == []  # once, not again


def shut(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Make an image unreadable, as root may leave it. Returns the names of files read from now on."""
    real, asked = files.open_evidence, list[str]()

    def refuse(path: Path, *, follow: bool = False) -> BinaryIO:
        asked.append(path.name)
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, follow=follow)

    monkeypatch.setattr(files, "open_evidence", refuse)
    return asked


def test_a_record_whose_image_is_shut_waits_alone_and_comes_once_it_is_open(
    unit: Joined, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, every later record of the log waited with it."""
    numbers = unit.add(5)
    leaf = unit.ledger.store.leaf(numbers[1])
    name = leaf.elements["overview"].digest.hex()
    close_the_log(unit, department)
    with monkeypatch.context() as refusing, capture_logs() as said:
        asked = shut(refusing, name)
        hand_over(unit, department)
        asked.clear()
        link = LoopbackLink(department)
        assert hand_over(unit, department, link=link).records == 0
        assert link.names == []  # what arrived is not offered again
        assert [one for one in asked if len(one) == len(name)] == [name]  # nor read again
    assert [(one["event"], one["records"]) for one in said] == [("closed_log_waits", 1)] * 2
    assert texts_held(department) == 4
    assert [one.reads for one in closed_logs(unit.folder)] == [1]
    assert hand_over(unit, department).records == 1
    assert texts_held(department) == 5
    assert closed_logs(unit.folder) == []


def test_a_closed_log_is_whole_though_an_image_that_came_is_shut_since(
    unit: Joined, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, later = (
        unit.ledger.store.leaf(number).elements["overview"].digest.hex() for number in unit.add(2)
    )
    folder = close_the_log(unit, department)
    with monkeypatch.context() as refusing:
        shut(refusing, later)
        hand_over(unit, department)
    assert not (folder / ANSWERS / WHOLE).exists()
    with monkeypatch.context() as refusing:
        shut(refusing, first)
        assert hand_over(unit, department).records == 1
    assert (folder / ANSWERS / WHOLE).exists()


def test_a_log_that_contradicts_what_was_received_is_held_beside_it_and_is_an_incident(
    unit: Joined, department: Department, tmp_path: Path
) -> None:
    unit.add(1)
    converse(unit, department)
    unit.ledger.close()
    shutil.copytree(unit.path, tmp_path / "copy")
    copy = Joined.__new__(Joined)
    copy.__dict__.update(unit.__dict__)
    copy.home, copy.slot = tmp_path / "copy" / "home", type(unit.slot)(tmp_path / "copy" / "chip")
    copy.folder = SyncFolder.of(copy.home)
    copy.reopen()
    unit.reopen()
    unit.add(4)  # the honest unit's reads, while its line is down
    copy.add(3)
    converse(copy, department)
    copy.ledger.close()
    assert texts_held(department) == 4
    with pytest.raises(RefusedByDepartmentError, match="do not lead to the signed checkpoint"):
        converse(unit, department)
    close_the_log(unit, department)
    hand_over(unit, department)
    assert texts_held(department) == 8
    assert closed_logs(unit.folder) == []
    assert check(department) == []
    assert {"fork", "contradiction"} <= set(incident_kinds(department))
    with department.store.read() as connection:
        marked = connection.execute(select(logs).where(logs.c.closed_of.is_not(None))).all()
    assert len(marked) == 1


def test_a_hand_over_that_is_cut_again_and_again_continues_where_it_was(
    unit: Joined, department: Department
) -> None:
    unit.add(6, size=20_000)
    close_the_log(unit, department)
    rng, cuts = random.Random(14), 0

    def cut(_name: str, data: bytes) -> bytes:
        nonlocal cuts
        if rng.random() < 0.4:
            cuts += 1
            raise LinkError("cut")
        return data

    for _ in range(60):
        link = LoopbackLink(department)
        link.before = cut
        try:
            hand_over(unit, department, link=link, parcel_bytes=50_000)
        except LinkError:
            continue
        break
    assert cuts
    assert closed_logs(unit.folder) == []
    assert texts_held(department) == 6
    assert check(department) == []


def test_a_hand_over_that_has_to_pause_says_so(unit: Joined, department: Department) -> None:
    unit.add(1)
    close_the_log(unit, department)
    key = department.home.log_key().public_key()
    delivery = ClosedDelivery(unit.outbox, LoopbackLink(department), key, parcel_bytes=1 << 20)
    assert delivery.run(unit.folder, lambda: False) == Delivered(paused=True)
    made = _ended(SyncProgress(done=True), Delivered(paused=True))
    assert made == ("done", "a closed log waits in part for the next sync")
    assert not hand_over(unit, department).paused


def test_a_closed_log_under_a_day_key_that_ended_is_handed_over_and_not_damaged(
    unit: Joined, department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "DAY_KEY_DAYS", -400)  # as after its year
    unit.add(1)
    close_the_log(unit, department)
    (department.home.keys / "day").rename(tmp_path / "kept")
    (department.home.keys / "day").mkdir()
    for _ in range(messages.MAX_TRIES):
        done = hand_over(unit, department)
        assert (done.bad, done.unopenable) == (0, 4)
    assert _ended(SyncProgress(done=True), done) == (
        "done",
        "the department has no key for 4 sealed parts: destroyed after its year, or lost",
    )
    assert hand_over(unit, department).unopenable == 0
    assert closed_logs(unit.folder) == []


def altered(sql: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        database = sqlite3.connect(folder / "store" / "ledger.sqlite3")
        with database:
            database.execute(sql)
        database.close()

    return damage


@pytest.mark.parametrize(
    ("damage", "arrived", "alarm"),
    [
        pytest.param(
            altered("UPDATE leaves SET leaf = zeroblob(99) WHERE sequence = "
                    "(SELECT max(sequence) FROM elements WHERE name = 'text')"),
            3,
            True,
            id="a leaf altered",
        ),
        pytest.param(
            altered("UPDATE elements SET stored = zeroblob(99) WHERE name = 'text' AND sequence = "
                    "(SELECT max(sequence) FROM elements WHERE name = 'text')"),
            3,
            False,
            id="a text altered",
        ),
        pytest.param(lambda folder: (folder / "store" / "log.pub").write_bytes(b"?"), 4, True, id="no key"),
        pytest.param(lambda folder: (folder / "keys.cbor").unlink(), 0, True, id="no epoch keys"),
    ],
)  # fmt: skip
def test_of_a_damaged_closed_log_everything_arrives_that_still_verifies(
    unit: Joined,
    department: Department,
    damage: Callable[[Path], None],
    arrived: int,
    alarm: bool,
) -> None:
    unit.add(4)
    folder = close_the_log(unit, department)
    damage(folder)
    hand_over(unit, department)
    assert texts_held(department) == arrived
    assert bool(closed_logs(unit.folder)) is alarm
    assert check(department) == []


@pytest.mark.thorough
def test_a_ledger_with_a_torn_page_hands_over_the_records_around_it(
    unit: Joined, department: Department
) -> None:
    for _ in range(40):
        unit.add(5)
    unit.ledger.close()
    ledger = unit.home / "store" / "ledger.sqlite3"
    with ledger.open("r+b") as file:  # a page in the middle
        file.seek(ledger.stat().st_size // 2 // 4096 * 4096)
        file.write(random.Random(463).randbytes(4096))
    try:
        unit.reopen()
        close_the_log(unit, department)
    except Exception:  # noqa: BLE001 - which page it hit decides how it is noticed
        unit.ledger = open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder)
        register(unit, department)
    hand_over(unit, department)
    assert texts_held(department) >= 100
    assert check(department) == []


# --- attacks ----------------------------------------------------------------------------------------------


def ready(unit: Joined, department: Department) -> tuple[ClosedHeader, list[bytes], list[HandedRecord]]:
    """A genuine message with all content of a closed log, as the unit's newer log would sign it."""
    unit.add(2)
    folder = close_the_log(unit, department)
    with open_handover(folder) as handover:
        [some] = portions(one for one in handover.records() if isinstance(one, HandedRecord))
        items, parts = [], []
        for one in some:
            stored = dict(one.elements)
            for name in messages.traveling(unchecked(one.leaf)):
                items.append(
                    messages.ParcelElement(sequence=one.sequence, name=name, length=len(stored[name]))
                )
                parts.append(stored[name])
        keys = {key.epoch: key for key in handover.keys}
        parcel = Parcel(tuple(one.leaf for one in some), tuple(items), tuple(parts))
        return header_of(unit.outbox.log_id, handover.log_id, parcel, keys), parts, some


def post(unit: Joined, department: Department, header: ClosedHeader, parts: list[bytes]) -> ClosedHeld:
    data = b"".join(parcels.frame_parcel(messages.seal_message(header, unit.outbox.sign), parts))
    return messages.open_message(
        ClosedHeld, department.receiver.answer("closed", data), department.home.log_key().public_key()
    )


def test_the_true_message_is_taken_once_however_often_it_comes(unit: Joined, department: Department) -> None:
    header, parts, _ = ready(unit, department)
    for _ in range(3):
        assert post(unit, department, header, parts).lacking == ()
    assert texts_held(department) == 2
    assert check(department) == []


def test_a_stranger_with_another_log_of_its_own_hands_over_nothing_of_this_unit(
    unit: Joined, department: Department, tmp_path: Path
) -> None:
    header, parts, _ = ready(unit, department)
    other = Joined(tmp_path / "other", department, "other")
    try:
        with pytest.raises(RefusedByDepartmentError, match="no log of this unit"):
            post(other, department, replace(header, log_id=other.outbox.log_id), parts)
    finally:
        other.close()
    assert texts_held(department) == 0


def test_an_open_log_is_not_handed_over_around_its_tree(unit: Joined, department: Department) -> None:
    header, parts, _ = ready(unit, department)
    with pytest.raises(RefusedByDepartmentError, match="is open"):
        post(unit, department, replace(header, closed=unit.outbox.log_id), parts)


def test_leaves_that_the_closed_log_did_not_sign_are_refused(unit: Joined, department: Department) -> None:
    header, parts, some = ready(unit, department)
    key = Ed25519PrivateKey.generate()
    forged = tuple(unchecked(one.leaf).sign(key) for one in some)
    swapped = (header.leaves[1], header.leaves[0], *header.leaves[2:])
    for leaves in (forged, swapped, (header.leaves[0], header.leaves[0])):
        with pytest.raises(RefusedByDepartmentError):
            post(unit, department, replace(header, leaves=leaves), parts)
    with department.store.read() as connection:
        assert closed_records.beside(connection, header.closed) == []


def test_altered_content_is_asked_for_again_and_never_stored(unit: Joined, department: Department) -> None:
    header, parts, _ = ready(unit, department)
    wrong = [bytes(len(one)) for one in parts]
    answer = post(unit, department, header, wrong)
    assert len(answer.bad) == len(parts)
    assert answer.lacking
    assert texts_held(department) == 0
    assert post(unit, department, header, parts).lacking == ()
    assert texts_held(department) == 2


def test_no_one_delivers_for_the_log_beside(unit: Joined, department: Department) -> None:
    header, parts, _ = ready(unit, department)
    post(unit, department, header, parts)
    with department.store.read() as connection:
        [beside] = closed_records.beside(connection, header.closed)
    data = b"".join(
        parcels.frame_parcel(
            messages.seal_message(replace(header, log_id=beside.log_id), unit.outbox.sign), parts
        )
    )
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("closed", data)
    assert refused.value.code == "unknown-log"


def test_answers_of_anyone_else_end_no_alarm(unit: Joined, department: Department) -> None:
    header, parts, _ = ready(unit, department)
    answer = post(unit, department, header, parts)
    [before] = closed_logs(unit.folder)
    place = before.folder / "answers"
    place.mkdir()
    for key, change, done in (
        (Ed25519PrivateKey.generate(), {}, False),
        (department.home.log_key(), {"closed": bytes(32)}, False),
        (department.home.log_key(), {"lacking": (1,)}, False),
        (department.home.log_key(), {}, True),
    ):
        (place / "0.cbor").write_bytes(messages.seal_message(replace(answer, **change), key))
        assert (closed_logs(unit.folder) == []) is done


def test_a_purge_takes_what_came_of_a_closed_log_too(unit: Joined, department: Department) -> None:
    header, parts, _ = ready(unit, department)
    post(unit, department, header, parts)
    with department.store.read() as connection:
        [beside] = closed_records.beside(connection, header.closed)
        names = unit_logs.names_held(connection, beside.log_no, range(100))
        days = connection.execute(select(elements.c.day).where(elements.c.log_no == beside.log_no)).scalars()
        assert len(set(days)) == 1
    assert {name for _, name in names} >= {"text", "place", "patch", "overview"}
