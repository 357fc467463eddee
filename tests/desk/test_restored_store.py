"""After the store is restored from an older backup, reads keep their day and permanent losses are entered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import SteppedTime
from desk_root import covered_by
from desk_twins import Department
from receiver_twins import Joined
from restore_twins import joined_today, next_day, received, set_reviewer
from sync_twins import backed_up, converse

from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, day_text
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.context import DeskContext
from sync.department.desk.inquiry.forms import Entered
from sync.department.desk.machine.restored import RestoreForm
from sync.department.desk.machine.unit_calls import RevokeUnitForm
from sync.department.ground.department_time import Clocks
from sync.department.journal import check_log
from sync.department.journal.machine_entries import StoreRestored, digest_of_losses
from sync.department.policy.refusals import FormError, NotYetError
from sync.department.server import daily
from sync.department.server.counted_before import CountedBefore
from sync.department.server.counted_days import CountedDays
from sync.department.server.lost_rows import KINDS
from sync.department.server.open_desk import front_of
from sync.department.server.server import Department as Server
from sync.department.server.unit_reports import Reported
from sync.department.server.verify import Checker
from sync.department.store.tables import bad_records, certificates, elements
from sync.department.units.arrival import PURGED, PURGED_HERE
from sync.errors import (
    LinkError,
    RefusedByDepartmentError,
)

KEYS = [SshPublicKey.of(Ed25519PrivateKey.generate()).line for _ in range(4)]


@pytest.fixture
def unit(department: Department, server: Server, tmp_path: Path) -> Iterator[Joined]:
    with joined_today(department, server, tmp_path / "unit") as made:
        yield made


def test_reads_that_come_again_after_a_restore_keep_their_day_of_receipt(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    """463.8: a year from first receipt. Reads that first come on the day of the restore get that day."""
    front = front_of(server)
    assert front is not None
    restore = backed_up(server, tmp_path / "backup.db")
    days = []
    for count in (3, 2):
        unit.add(count)
        converse(unit, server)
        days.append(department.clock.us // DAY_US)
        department.clock.step(DAY_US)
        assert server.time.accept(department.clock.us)
        daily.run(front, server.retention)
    unit.add(1)
    converse(unit, server)
    before = received(server)
    assert [one in before for one in days] == [True, True]
    restore()
    front.close()
    front = front_of(server)  # the server starts again
    assert front is not None
    department.clock.step(3 * DAY_US)
    assert server.time.accept(department.clock.us)
    unit.add(1)
    converse(unit, server)
    after = received(server)
    assert [after[one] for one in days] == [before[one] for one in days]
    assert after[department.clock.us // DAY_US]["text"] == 2
    key = server.home.log_key().public_key()
    reported = Checker(server.store, server.keys, server.packs, key).run().reported
    covered, log = covered_by(department), department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    wrong, _ = covered.compare(Reported(days=replace(reported.days, rows=None)))
    assert [one for one in wrong if "received on" in one] == []
    front.close()


def test_reads_whose_day_of_receipt_was_purged_do_not_come_back(server: Server, unit: Joined) -> None:
    """The unit learns that they were received, and may purge them."""
    server.counted = lambda _log, _sequence, _name: PURGED
    before = received(server)
    unit.add(2)
    progress = converse(unit, server)
    assert progress.done
    assert {day: names for day, names in received(server).items() if names} == before
    assert not server.keys.has_store_key(server.time() // DAY_US)
    with server.store.read() as connection:
        given_up = connection.execute(sa.select(bad_records.c.reason, bad_records.c.given_up_us)).all()
    assert {row.reason for row in given_up} == {PURGED_HERE}
    assert all(row.given_up_us for row in given_up)


def test_what_a_unit_sends_again_waits_for_the_key_of_its_day(server: Server, unit: Joined) -> None:
    """A new key would hide the loss of the day's key."""
    lost = server.time() // DAY_US - 3
    server.counted = lambda _log, _sequence, _name: lost
    unit.add(1)
    with pytest.raises(LinkError, match="cannot store now: keep everything"):
        converse(unit, server)
    assert not server.keys.has_store_key(lost)


def test_reads_that_could_not_be_stored_at_first_keep_their_day_when_they_come_once_more(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    """Otherwise each try would use up places of that day, and the year would start over after all."""
    front = front_of(server)
    assert front is not None
    restore = backed_up(server, tmp_path / "backup.db")
    unit.add(3)
    converse(unit, server)
    day = department.clock.us // DAY_US
    department.clock.step(DAY_US)
    assert server.time.accept(department.clock.us)
    daily.run(front, server.retention)
    before = received(server)
    restore()
    front.close()
    front = front_of(server)  # the server starts again
    assert front is not None
    department.clock.step(3 * DAY_US)
    assert server.time.accept(department.clock.us)
    mark = server.home.path / "restored"
    key = server.home.path / "keys" / "store" / f"{day}.key"
    key.rename(key.with_suffix(".away"))
    for _ in range(3):
        with pytest.raises(LinkError, match="cannot store now: keep everything"):
            converse(unit, server)
    key.with_suffix(".away").rename(key)
    front.close()
    front = front_of(server)  # ... and again: its records are now here, but not their content
    assert front is not None
    assert mark.exists()
    converse(unit, server)
    after = received(server)
    assert after[day]["text"] == before[day]["text"]
    assert "text" not in after.get(department.clock.us // DAY_US, {})
    next_day(department, server, front)
    unit.add(1)
    converse(unit, server)
    front.close()
    front = front_of(server)
    assert front is not None
    assert server.counted(2, 0, "text") is None
    assert not mark.exists()
    front.close()


@pytest.fixture
def poorer(department: Department, server: Server, unit: Joined, tmp_path: Path) -> Iterator[DeskContext]:
    """A running desk on a restored store whose unit is gone, so that what came since is lost for good."""
    front = front_of(server)
    assert front is not None
    restore = backed_up(server, tmp_path / "backup.db")
    next_day(department, server, front)
    unit.add(2)
    converse(unit, server)
    next_day(department, server, front)
    next_day(department, server, front)
    restore()
    yield front
    front.close()


def _days_verify(department: Department, server: Server) -> tuple[list[str], list[str]]:
    """What `verify` says about the days of receipt: (wrong, not checked)."""
    key = server.home.log_key().public_key()
    reported = Checker(server.store, server.keys, server.packs, key).run().reported
    covered, log = covered_by(department), department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    return covered.compare(Reported(days=reported.days, logs=department.front.state.unit_logs()))


RESTORED = RestoreForm(backup="2026-11-29", reason="the disk of the server failed")


def _restored(department: Department) -> RestoreForm:
    """The losses as the command names them when it is called without a digest."""
    return replace(RESTORED, lost=digest_of_losses(department.front.lacking()))


@pytest.mark.thorough
def test_what_a_restore_lost_is_entered_by_two_people_and_is_wrong_no_longer(
    department: Department, server: Server, poorer: DeskContext
) -> None:
    wrong, unchecked = _days_verify(department, server)
    assert unchecked == []
    assert any(one.startswith("of the reads received on") for one in wrong)
    assert any(one.startswith("of the receipts given to units") for one in wrong)
    assert any(one.startswith("of log number") for one in wrong)
    lost = len(poorer.lacking())
    department.two_hands("restore/enter", department.logon("chief"), _restored(department), second="super")
    wrong, unchecked = _days_verify(department, server)
    assert wrong == []
    assert [one.partition(":")[2] for one in unchecked] == [f" {lost} losses"]
    assert unchecked[0].startswith(
        "what the restore from the backup of 2026-11-29 lost, as two people entered on"
    )
    with pytest.raises(NotYetError, match="lacks nothing") as no:
        department.call("restore/enter", department.logon("chief"), RESTORED)
    assert no.value.code == "nothing-lost"


def test_a_restore_that_is_entered_excuses_nothing_that_goes_missing_later(
    department: Department, server: Server, poorer: DeskContext
) -> None:
    department.two_hands("restore/enter", department.logon("chief"), _restored(department), second="super")
    with server.store.write() as connection:
        connection.execute(sa.delete(certificates))
        connection.execute(sa.delete(elements).where(elements.c.name == "patch"))
    wrong, _ = _days_verify(department, server)
    assert any("elements patch received on" in one for one in wrong)
    assert any("certificates of units" in one for one in wrong)


def test_one_person_alone_enters_no_restore(department: Department, poorer: DeskContext) -> None:
    before, form = poorer.lacking(), _restored(department)
    with pytest.raises(NotYetError, match="needs a second person"):
        department.call("restore/enter", department.logon("chief"), form)
    department.call("restore/enter", department.logon("chief"), replace(form, propose=True))
    assert poorer.lacking() == before


def test_who_names_no_losses_hears_what_they_are(department: Department, poorer: DeskContext) -> None:
    with pytest.raises(NotYetError) as no:
        department.call("restore/enter", department.logon("chief"), RESTORED)
    assert no.value.code == "other-losses"
    words = (
        r"what is lost now: 2 reads, \d+ elements of [-0-9, ]+, 1 row, \d+ records of logs; its digest is "
    )
    assert re.match(words + digest_of_losses(poorer.lacking()), no.value.what)


def test_what_goes_missing_after_the_second_person_agreed_is_not_entered(
    department: Department, server: Server, poorer: DeskContext
) -> None:
    """So the person who proposes a restore cannot remove more before it is entered."""
    form = _restored(department)
    proposed = department.call("restore/enter", department.logon("chief"), replace(form, propose=True))
    assert isinstance(proposed, Entered)
    yes = DecideForm(proposal=proposed.entry, granted=True, reason="known")
    department.call("change/approve", department.logon("super"), yes)
    agreed = replace(form, approval=proposed.entry)
    with server.store.write() as connection:
        connection.execute(sa.delete(elements).where(elements.c.name == "patch"))
    with pytest.raises(FormError) as no:
        department.call("restore/enter", department.logon("chief"), agreed)
    assert no.value.code == "before-backup"
    with pytest.raises(NotYetError) as other:
        department.call("restore/enter", department.logon("chief"), replace(agreed, backup="2026-09-01"))
    assert other.value.code == "other-losses"


def test_a_backup_of_a_future_day_is_refused(department: Department, poorer: DeskContext) -> None:
    with pytest.raises(FormError, match="that day is in the future"):
        department.call("restore/enter", department.logon("chief"), replace(RESTORED, backup="2036-01-01"))
    assert poorer.lacking()


def test_reads_that_come_after_a_restore_was_entered_are_not_wrong(
    department: Department, server: Server, unit: Joined, poorer: DeskContext
) -> None:
    """A unit that was off sends again what was considered lost."""
    department.two_hands("restore/enter", department.logon("chief"), _restored(department), second="super")
    unit.add(1)
    converse(unit, server)
    assert [one for one in _days_verify(department, server)[0] if "received on" in one] == []


def test_a_store_that_is_no_older_than_the_log_gives_no_day_gone_by(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    """Otherwise late reads could replace removed ones."""
    front = front_of(server)
    assert front is not None
    unit.add(2)
    converse(unit, server)
    next_day(department, server, front)
    with server.store.write() as connection:
        connection.execute(sa.delete(elements).where(elements.c.name == "overview"))
    assert CountedBefore(server.store, front.desk, tmp_path / "mark").day_of(2, 0, "overview") is None
    front.close()


def test_losses_that_were_not_counted_so_are_named(department: Department, poorer: DeskContext) -> None:
    """An entry that claims more than was counted would cover up other losses."""
    counted = CountedDays()
    for entry in department.desk.log.entries(kinds=KINDS):
        counted.apply(entry)
    known = poorer.lacking()
    forged = [
        *((what, of, many + 1, here, digest) for what, of, many, here, digest in known),
        *((what, of, many, many, digest) for what, of, many, _, digest in known),
        ("elements", "2020-01-01 text", 4, 0, b""),
        ("rows", "receipts 1 2", 4, 0, b""),
        ("log", "99", 4, 0, b""),
        ("log", "x", 4, 0, b""),
        ("given up", "x", 4, 0, b""),
        ("anything", "", 4, 0, b""),
    ]
    note = StoreRestored(backup="2026-11-30", reason="the disk failed", lost=tuple(forged))
    counted.apply(replace(entry, note=note))
    assert len(counted.problems) == len(forged)
    assert {one.partition(": was not")[2] for one in counted.problems} == {" counted so"}


def test_a_department_that_was_restored_ends_clean(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    """A backup; then reads, a person, a revocation and a purge; restore, start, sync, and one entry."""
    other = Joined(tmp_path / "other", server, "car 13", time_source=SteppedTime(department.clock.us))
    front = front_of(server)
    assert front is not None
    next_day(department, server, front)
    before = _wrong(department, server)
    restore = backed_up(server, tmp_path / "backup.db")
    day = day_text(department.clock.us // DAY_US)
    unit.add(3)
    other.add(1)
    converse(unit, server)
    converse(other, server)
    set_reviewer(department, KEYS[0])
    department.call("unit/revoke", department.logon("chief"), RevokeUnitForm(unit="car 13", reason="stolen"))
    next_day(department, server, front)
    next_day(department, server, front)
    assert _wrong(department, server) == before
    restore()
    front.close()
    again = Server(department.home, Clocks.simulated(department.clock))
    front = front_of(again)
    assert front is not None
    daily.run(front, again.retention)
    converse(unit, again)
    with pytest.raises(RefusedByDepartmentError, match="revoked"):
        converse(other, again)
    assert set(_wrong(department, again)) - set(before)
    form = replace(RESTORED, backup=day, lost=digest_of_losses(department.front.lacking()))
    department.two_hands("restore/enter", department.logon("chief"), form, second="super")
    next_day(department, again, front)
    assert _wrong(department, again) == before
    overdue = [one.what for one in front.overdue_from_store(front.desk.now_us())]
    assert [one for one in overdue if "older than the log" in one] == []
    front.close()
    other.close()
    again.close()


def _wrong(department: Department, server: Server) -> list[str]:
    """All that `verify` reports as wrong, in the store and the log."""
    key = server.home.log_key().public_key()
    report = Checker(server.store, server.keys, server.packs, key).run()
    covered, log = covered_by(department), department.desk.log
    found = check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    return sorted([*report.problems, *found.problems, *covered.compare(report.reported)[0]])
