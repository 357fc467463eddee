"""The log has each day's number of reads and its purge, because root can change the store at will."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from desk_root import Root, covered_by
from desk_twins import Department

from storage.times import DAY_US, day_text
from sync import messages
from sync.department.journal import check_log
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.hold_entries import Purged
from sync.department.server import daily
from sync.department.server.retention import DayPurgeReceipt
from sync.department.server.server import Department as Server
from sync.department.server.verify import Checker
from sync.department.store.incidents import record
from sync.department.store.tables import bad_records, days, destructions, elements, incidents


def verdict(department: Department, server: Server) -> tuple[list[str], list[str]]:
    """Check the days of receipt. Returns (what is wrong, what was not checked)."""
    reported = Checker(server.store, server.keys, server.packs, department.desk.log.public).run(content=False)
    covered, log = covered_by(department), department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    reported.reported.units = []
    return covered.compare(reported.reported)


def first_day(server: Server) -> int:
    with server.store.read() as connection:
        return int(connection.execute(sa.select(sa.func.min(elements.c.day))).scalar_one())


def one_read_taken_out(department: Department, server: Server, day: int) -> str:
    with server.store.write() as connection:
        some = sa.select(elements.c.sequence).where(elements.c.day == day, elements.c.name == "text").limit(1)
        one = connection.execute(some).scalar_one()
        connection.execute(elements.delete().where(elements.c.day == day, elements.c.sequence == one))
    return f"of the reads received on {day_text(day)}, 11 were counted and 10 are here"


def a_whole_day_taken_out(department: Department, server: Server, day: int) -> str:
    with server.store.write() as connection:
        connection.execute(elements.delete().where(elements.c.day == day))
        connection.execute(days.delete().where(days.c.day == day))
    return f"of the reads received on {day_text(day)}, 11 were counted and 0 are here"


def pictures_said_to_be_given_up(department: Department, server: Server, day: int) -> str:
    """With the rows that would excuse them in the store, on the same day as honest ones or on another."""
    _pictures_taken_out(server, day)
    return f"of the elements patch received on {day_text(day)}, 11 were counted and 10 are here"


def a_give_up_dated_back(department: Department, server: Server, day: int) -> str:
    _pictures_taken_out(server, day)
    return f"of the elements given up on {day_text(day)}, 0 were counted and 1 are here"


def _pictures_taken_out(server: Server, day: int) -> None:
    with server.store.write() as connection:
        patch = (elements.c.day == day) & (elements.c.name == "patch")
        row = connection.execute(sa.select(elements).where(patch).limit(1)).one()
        one = (elements.c.log_no == row.log_no) & (elements.c.sequence == row.sequence)
        connection.execute(elements.delete().where(patch, one))
        connection.execute(
            bad_records.insert().values(
                log_no=row.log_no, sequence=row.sequence, name="patch", tries=3, reason="damaged",
                given_up_us=day * DAY_US,
            )
        )  # fmt: skip


def a_purge_that_counts_more(department: Department, server: Server, day: int) -> str:
    """A receipt by the log's key for more reads than the day brought, which would cover up other losses."""
    with server.store.read() as connection:
        rows = sa.select(sa.func.count()).select_from(elements).where(elements.c.day == day)
        many = int(connection.execute(rows).scalar_one())
    receipt = DayPurgeReceipt(
        department=server.home.settings.name, day=day, records=11, elements=many + 2, packs=0, clause="463.8",
        started_us=1, at_us=1,
    )  # fmt: skip
    sealed = messages.seal_message(receipt, server.home.log_key())
    with server.store.write() as connection:
        connection.execute(days.update().where(days.c.day == day).values(purged_us=1, receipt=sealed))
        connection.execute(days.update().where(days.c.day == day).values(purge_started_us=1))
    return f"of the elements received on {day_text(day)}, {many} were counted and {many + 2} purged"


def a_day_said_to_be_purged(department: Department, server: Server, day: int) -> str:
    """With a receipt by the log's key, which root has, and with or without an entry by the system."""
    with server.store.write() as connection:
        connection.execute(elements.delete().where(elements.c.day == day))
        connection.execute(
            days.update().where(days.c.day == day).values(purge_started_us=1, purged_us=1, receipt=b"receipt")
        )
    return f"the day of receipt {day_text(day)} was purged before its 365 days were over"


def a_day_entered_as_purged(department: Department, server: Server, day: int) -> str:
    words, root = a_day_said_to_be_purged(department, server, day), Root(department)
    note = Purged(day=day_text(day), reads=11, elements=44, clause="463.8", purged_us=1, receipt=bytes(32))
    root.write(note, root.stamp("system"))
    department.clock.step(400 * DAY_US)
    root.write(replace(note, day="1970-01-01"), root.stamp("system"))  # the log continues for a year
    return words


def another_receipt(department: Department, server: Server, day: int) -> str:
    department.clock.step(400 * DAY_US)
    root = Root(department)
    note = Purged(day=day_text(day), reads=11, elements=44, clause="463.8", purged_us=1, receipt=bytes(32))
    root.write(note, root.stamp("system"))
    a_day_said_to_be_purged(department, server, day)
    return f"the purge of {day_text(day)}: the log has another receipt"


ATTACKS = (
    one_read_taken_out,
    a_whole_day_taken_out,
    pictures_said_to_be_given_up,
    a_give_up_dated_back,
    a_purge_that_counts_more,
    a_day_said_to_be_purged,
    a_day_entered_as_purged,
    another_receipt,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_reads_that_the_log_counted_are_missed(
    department: Department, attack: Callable[[Department, Server, int], str]
) -> None:
    server = Server(department.home)
    try:
        assert daily.count_days(department.front) == 3
        assert verdict(department, server) == ([], [])
        assert attack(department, server, first_day(server)) in verdict(department, server)[0]
    finally:
        server.close()


def incident(server: Server, at_us: int, kind: str = "fork") -> None:
    with server.store.write() as connection:
        record(connection, kind=kind, detail="another past", unit_id="car-7", log_id=None, now_us=at_us)


def test_incidents_that_were_taken_out_of_the_store_are_missed(department: Department) -> None:
    """And both records of a reset: `delete from incidents; delete from destructions`."""
    server = Server(department.home)
    try:
        now_us = department.clock.us
        incident(server, now_us - 2 * DAY_US)
        with server.store.write() as connection:
            connection.execute(
                destructions.insert().values(log_no=1, message=b"of a reset", received_us=now_us - 2 * DAY_US)
            )
        daily.count_days(department.front)
        assert verdict(department, server) == ([], [])
        with server.store.write() as connection:
            connection.execute(incidents.delete())
            connection.execute(destructions.delete())
        up_to = day_text(now_us // DAY_US - 1)
        assert verdict(department, server)[0] == [
            f"of the receipts of reset units up to {up_to}, 1 were counted and 0 are here",
            f"of the incidents up to {up_to}, 1 were counted and 0 are here",
        ]
    finally:
        server.close()


def test_each_daily_run_counts_what_came_since_and_no_day_twice(department: Department) -> None:
    """An incident on a day without reads is entered; if there is nothing new, nothing is."""
    server = Server(department.home)
    try:
        daily.count_days(department.front)
        department.clock.step(3 * DAY_US)
        assert daily.count_days(department.front) == 0
        incident(server, department.clock.us)
        assert verdict(department, server) == ([], [])  # the day is not over
        department.clock.step(DAY_US)
        assert daily.count_days(department.front) == 1
        assert daily.count_days(department.front) == 0
        with server.store.write() as connection:
            connection.execute(incidents.update().values(detail="nothing"))
        (wrong,) = verdict(department, server)[0]
        assert wrong.endswith("are not the ones that were counted")
        assert wrong.startswith("the incidents of ")
    finally:
        server.close()


def test_rows_that_root_counts_ahead_or_again_are_not_believed(department: Department) -> None:
    server, root = Server(department.home), Root(department)
    try:
        daily.count_days(department.front)
        today = department.clock.us // DAY_US
        for day in (today, today - 1):
            root.write(DayCounted(day=day_text(day), reads=0, rows=()), root.stamp("system"))
        wrong = verdict(department, server)[0]
        assert [one.partition(": ")[2] for one in wrong[:2]] == [
            f"day_counted: {day_text(day)} was not over, or had been counted before"
            for day in (today, today - 1)
        ]
    finally:
        server.close()


def test_a_log_that_counts_no_rows_yet_says_so(department: Department) -> None:
    """An earlier version wrote it; the next daily run counts all rows."""
    server, root = Server(department.home), Root(department)
    try:
        incident(server, 0)
        root.write(DayCounted(day="1999-12-31", reads=0), root.stamp("system"))
        assert verdict(department, server)[1] == [
            "whether an incident, a receipt or a log of a unit was taken out of the store: the log does not "
            "count them yet (the daily run does)"
        ]
        daily.count_days(department.front)
        assert verdict(department, server) == ([], [])
    finally:
        server.close()


def test_a_purge_that_is_not_entered_yet_is_not_called_wrong(department: Department) -> None:
    server = Server(department.home)
    try:
        daily.count_days(department.front)
        department.clock.step(400 * DAY_US)
        department.desk.system()
        Root(department).write(Purged(day="1970-01-01", reads=0, elements=0, clause="463.8", purged_us=1,
                                      receipt=bytes(32)), Root(department).stamp("system"))  # fmt: skip
        day = first_day(server)
        a_day_said_to_be_purged(department, server, day)
        wrong, unchecked = verdict(department, server)
        assert wrong == []
        assert unchecked == [f"the purge of {day_text(day)}: its entry comes with the next daily run"]
    finally:
        server.close()


def test_the_daily_run_has_the_witness_sign_once_for_all_that_it_entered(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, asked, cosign = Server(department.home), list[int](), department.witness.cosign

    def counted(old_size: int, proof: list[bytes], note: str) -> str:
        asked.append(old_size)
        return cosign(old_size, proof, note)

    monkeypatch.setattr(department.witness, "cosign", counted)
    try:
        size = department.desk.log.size()
        daily.run(department.front, server.retention)
        log = department.desk.log
        assert {one.note.KIND for one in log.entries(size)} >= {"day_counted", "units_listed"}
        assert log.cosigned()[0] == log.size()
        assert len(asked) - asked.count(0) <= 1  # a witness that first names its size is asked twice
        assert len(asked) <= 2
    finally:
        server.close()
