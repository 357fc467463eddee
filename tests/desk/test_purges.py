"""A purge is an entry of the access log, whatever interrupts it; the signed policy sets the days to keep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from desk_root import covered_by
from desk_twins import GROUND, START_US, Department
from sqlalchemy import select, update
from structlog.testing import capture_logs
from sync_twins import backed_up

from storage.times import DAY_US, HOUR_US, day_text
from sync.department.content.key_door import read_name
from sync.department.content.key_files import is_there
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.ground.department_time import Clocks
from sync.department.journal import check_log
from sync.department.journal.entry_base import SYSTEM
from sync.department.journal.hold_entries import Purged
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import FormError
from sync.department.server import daily
from sync.department.server.open_desk import adopt_root, front_of
from sync.department.server.retention import DayPurgeReceipt, RepeatedPurge, StoreRetention, keep_days_of
from sync.department.server.server import Department as Server
from sync.department.server.unit_reports import Reported
from sync.department.server.verify import Checker
from sync.department.store.tables import days as days_table
from sync.department.store.tables import logs
from sync.errors import HomeError, KeyServiceAwayError, KeyServiceError


@pytest.fixture
def server(department: Department) -> Iterator[Server]:
    made = Server(department.home, Clocks.simulated(department.clock))
    assert made.time.accept(department.clock.us)  # days without power since it was founded
    yield made
    made.close()


def purges(department: Department) -> list[Purged]:
    department.desk.refresh()
    found = list(department.desk.log.entries(kinds=(Purged.KIND,)))
    assert all(one.stamp.user == SYSTEM for one in found)
    return [one.note for one in found if isinstance(one.note, Purged)]


def test_each_purged_day_is_an_entry_with_its_receipt(department: Department, server: Server) -> None:
    department.clock.us = START_US + 364 * DAY_US
    receipts = server.retention.run(through=START_US // DAY_US)
    daily.run(department.front, server.retention)
    entries = purges(department)
    assert [(one.reads, one.clause) for one in entries] == [(one.records, "463.8") for one in receipts]
    assert [one.reads for one in entries] == [11, 11]
    assert entries[0].day == "2026-09-18"
    signed = dict(server.retention.receipts())
    assert {one.receipt for one in entries} == {hashlib.sha256(data).digest() for data in signed.values()}
    assert department.desk.log.cosigned()[0] == department.desk.log.size()
    daily.run(department.front, server.retention)
    assert purges(department) == entries


def test_a_day_whose_year_is_over_is_not_searched_while_its_purge_waits(
    department: Department, server: Server
) -> None:
    """463.8: two people release a backlog; until then it stays, and only a hold may name its reads."""
    reads, due = department.front.reads, START_US // DAY_US - 3
    query = Query(plate="8*", since_us=0, until_us=START_US)
    days, count = reads.extent(query)
    old = next((one for one in reads.part(query, "", 10_000).named if one[0] == due), None)
    assert old is not None
    with server.store.read() as connection:
        log_id = connection.execute(select(logs.c.log_id).where(logs.c.log_no == old[1])).scalar_one()
    name = read_name(bytes(log_id), old[2])
    department.clock.us = (due + 366) * DAY_US - HOUR_US
    assert (reads.extent(query), reads.days_left_out(query)) == ((days, count), 0)
    department.clock.us += DAY_US + HOUR_US  # two days are due
    fewer = reads.extent(query)
    assert (fewer[0], len(reads.received()), reads.days_left_out(query)) == (days - 2, days, 2)
    assert reads.days_left_out(replace(query, since_us=(due + 1) * DAY_US)) == 1
    assert fewer[1] < count
    assert min(one[0] for one in reads.part(query, "", 10_000).named) == due + 2
    with pytest.raises(FormError, match="the year of that read is over") as refused:
        reads.open(department.front.door, None, [name], ("text",))  # type: ignore[arg-type]
    assert refused.value.code == "over"
    reads.days_of([name])  # what still exists may become evidence
    with server.store.write() as connection:  # an interrupted purge, or a row that claims one
        connection.execute(update(days_table).where(days_table.c.day == due + 2).values(purge_started_us=1))
    assert (reads.extent(query)[0], reads.days_left_out(query)) == (days - 3, 3)


def test_a_purge_that_began_before_the_year_was_over_is_taken_back(
    department: Department, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock set ahead, or a forged row, began it: no search found the day, and its key still exists."""
    reads, day = department.front.reads, START_US // DAY_US - 3
    query = Query(plate="8*", since_us=0, until_us=START_US)
    days = reads.extent(query)[0]
    department.clock.us = (day + 366) * DAY_US - HOUR_US
    with server.store.write() as connection:
        connection.execute(update(days_table).values(purge_started_us=1))
    assert (reads.extent(query)[0], reads.days_left_out(query)) == (0, days)
    honest = server.retention._keys.has_store_key

    def has_store_key(of: int) -> bool:
        if of == day:
            raise KeyServiceError("is away", where="key service")
        return honest(of)

    with monkeypatch.context() as away:
        away.setattr(server.retention._keys, "has_store_key", has_store_key)
        with pytest.raises(KeyServiceError):
            server.retention.run()
    assert [honest(one) for one in range(day, day + days)] == [True] * days  # and none was destroyed
    assert (reads.extent(query)[0], reads.days_left_out(query)) == (days - 1, 1)
    assert server.retention.run() == []
    assert (reads.extent(query)[0], reads.days_left_out(query)) == (days, 0)
    with server.store.write() as connection:  # a purge ends while the days are counted
        connection.execute(update(days_table).where(days_table.c.day == day).values(purged_us=1))
    assert reads.days_left_out(query) == 0


def test_a_search_says_how_many_days_have_no_key(department: Department) -> None:
    run = RunForm(query=department.plate("8XYZ123"), ground=GROUND)

    def look() -> Answer:
        made = department.call("inquiry/run", department.logon("comm1"), run)
        assert isinstance(made, Answer)
        return made

    whole = look()
    assert (whole.count > 0, whole.days_left_out) == (True, 0)
    for key in (department.home.keys / "store").iterdir():
        key.unlink()
    lacking = look()
    assert (lacking.count, lacking.days_left_out > 0) == (0, True)


def test_a_purge_that_a_crash_kept_from_the_log_is_entered_by_the_next_run(
    department: Department, server: Server
) -> None:
    department.clock.us = START_US + 364 * DAY_US
    server.retention.run(through=START_US // DAY_US)
    assert purges(department) == []
    department.witness.away = True
    daily.run(department.front, server.retention)
    assert len(purges(department)) == 2
    department.clock.us = START_US + 370 * DAY_US
    server.retention.run()
    department.witness.away = False
    daily.run(department.front, server.retention)
    assert [one.day for one in purges(department)] == ["2026-09-18", "2026-09-19", "2026-09-20"]


def test_a_desk_of_the_running_server_is_the_same_desk(department: Department, server: Server) -> None:
    front = front_of(server)
    assert front is not None
    department.clock.us = START_US + 364 * DAY_US
    server.retention.run(through=START_US // DAY_US)
    assert len(daily.enter_purges(front.desk, server.retention)) == 2
    front.close()
    assert len(purges(department)) == 2


@pytest.mark.parametrize("content", [bytes(31), bytes(32) + b"\n", None], ids=["short", "long", "unreadable"])
def test_a_key_of_a_day_gone_by_that_is_not_whole_is_purged_and_found_by_verify(
    department: Department, server: Server, content: bytes | None
) -> None:
    """A key that cannot be destroyed is named, and the others are destroyed."""
    department.clock.us = START_US + 364 * DAY_US
    purged = server.retention.run(through=START_US // DAY_US)[0].day
    store, forgotten = department.home.path / "keys" / "store", purged - 30
    paths = [store / f"{day}.key" for day in (forgotten - 1, purged, forgotten)]
    paths[0].write_bytes(bytes(32))
    for path in paths[1:]:
        path.mkdir() if content is None else path.write_bytes(content)
    key = server.home.log_key().public_key()
    report = Checker(server.store, server.keys, server.packs, key).run()
    assert f"purge of day {purged}: its key still exists" in report.problems
    if content is None:
        with pytest.raises(KeyServiceError, match=f"store/{forgotten}.key cannot be destroyed: Is a dir"):
            server.retention.run(through=forgotten)
    else:
        assert [one.day for one in server.retention.run(through=forgotten)] == [forgotten - 1, forgotten]
    assert [path.exists() for path in paths] == [False, content is None, content is None]


def purged_with_a_copy_of_the_keys(server: Server, folder: Path) -> dict[Path, bytes]:
    """Two days are purged; returns the copy of the keys that was made before."""
    copy = {path: path.read_bytes() for path in (folder / "store").glob("*.key")}
    assert len(server.retention.run(through=START_US // DAY_US)) == 2
    return copy


@pytest.mark.parametrize("with_marks", [True, False])
def test_the_keys_of_purged_days_that_an_older_copy_brought_back_are_destroyed_again(
    department: Department, server: Server, with_marks: bool
) -> None:
    """A whole folder that was put back has no marks of what was destroyed either."""
    department.clock.us = START_US + 364 * DAY_US
    store, public = department.home.path / "keys" / "store", server.home.log_key().public_key()
    copy = purged_with_a_copy_of_the_keys(server, department.home.path / "keys")
    purged = [day for day, _ in server.retention.receipts()]
    for mark in () if with_marks else list(store.glob("*.gone")):
        mark.unlink()
    for path, data in copy.items():
        path.write_bytes(data)

    def wrong() -> list[str]:
        report = Checker(server.store, server.keys, server.packs, public).run()
        return [one for one in report.problems if "its key still exists" in one]

    assert len(wrong()) == 2
    for _ in range(2):
        with capture_logs() as events:
            assert server.retention.run() == []
        assert wrong() == []
        named = [one["day"] for one in events if one["event"] == "purged_key_destroyed_again"]
        assert named == purged
        purged = []
    assert {int(path.stem) for path in store.glob("*.key")} == {int(path.stem) for path in copy} - {
        day for day, _ in server.retention.receipts()
    }


def test_a_key_that_cannot_be_looked_for_keeps_no_other_from_the_purge(
    department: Department, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question for all days failed as a whole, and none of the others was destroyed."""
    department.clock.us = START_US + 364 * DAY_US
    store = department.home.path / "keys" / "store"
    copy = purged_with_a_copy_of_the_keys(server, department.home.path / "keys")
    first, second = (day for day, _ in server.retention.receipts())
    paths = {day: store / f"{day}.key" for day in (first - 30, first - 29, first, second)}
    for path in paths.values():  # two that were purged, and two that the database lacks
        path.write_bytes(copy.get(path, bytes(32)))
    dropped = list[int]()

    def looked_for(path: Path) -> bool:
        if path in {paths[first], paths[first - 30]}:
            raise KeyServiceError("cannot be looked for: Input/output error", where=str(path))
        return is_there(path)

    monkeypatch.setattr("sync.department.content.key_service.is_there", looked_for)
    monkeypatch.setattr(server.retention._packs, "days", lambda: {first - 30})
    monkeypatch.setattr(server.retention._packs, "drop", dropped.append)
    for _ in range(2):
        with pytest.raises(KeyServiceError, match="cannot be looked for"):
            server.retention.run(through=START_US // DAY_US)
    assert [path.exists() for path in paths.values()] == [True, False, True, False]
    assert first - 30 not in dropped  # it may be a day


def test_a_forged_row_of_a_purge_destroys_no_key_before_the_end_of_its_year(
    department: Department, server: Server
) -> None:
    keys = sorted((department.home.path / "keys" / "store").glob("*.key"))
    with server.store.write() as connection:
        connection.execute(update(days_table).values(purged_us=1, purge_started_us=1))
    assert server.retention.run() == []
    assert sorted((department.home.path / "keys" / "store").glob("*.key")) == keys


def test_a_key_service_that_is_away_is_asked_once_for_the_keys_of_purged_days(
    department: Department, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further question would wait as long as the first, for years of days."""
    department.clock.us = START_US + 364 * DAY_US
    purged_with_a_copy_of_the_keys(server, department.home.path / "keys")
    days = [day for day, _ in server.retention.receipts()]
    asked = []

    def days_with_keys(of: Sequence[int]) -> set[int]:
        asked.append(of)
        raise KeyServiceAwayError("no answer")

    monkeypatch.setattr(server.retention._keys, "days_with_keys", days_with_keys)
    with pytest.raises(KeyServiceAwayError):
        server.retention.run()
    assert [one for one in asked if set(one).intersection(days)] == [days]


def test_the_days_to_keep_are_those_of_the_signed_policy(department: Department, server: Server) -> None:
    """Another department keeps reads for sixty days; an unsigned file purges nothing."""
    assert keep_days_of(department.home) == 365
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n")
    text = text.replace('manual = "463"', 'manual = "9.4"').replace(
        '[retention]\nclause = "463.8"', '[retention]\nclause = "9.4 (c)"'
    )
    document = text.replace("keep_days = 365 ", "keep_days = 60 ").encode()
    policy = department.home.path / "policy.toml"
    signed = policy.read_bytes()
    policy.write_bytes(document)
    department.clock.us = START_US + 58 * DAY_US
    with pytest.raises(HomeError, match="do not match"):
        server.retention.run()
    policy.write_bytes(signed)
    assert server.retention.run() == []
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)
    assert [one.records for one in server.retention.run()] == [11]


def test_an_adoption_that_a_crash_cut_off_is_finished_by_the_same_command(department: Department) -> None:
    """The entry was made but the files were not written: adopting again writes them and enters nothing."""
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n")
    document = text.replace("lock_minutes = 30", "lock_minutes = 10").encode()
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    department.desk.set_root(root, document)
    size = department.desk.log.size()
    assert department.home.root_file.read_bytes() != root
    adopt_root(department.home, department.desk, root, document)
    assert department.home.root_file.read_bytes() == root
    assert department.desk.log.size() == size


def test_a_purge_that_a_backup_undid_is_repeated_and_verifies(
    department: Department, server: Server, tmp_path: Path
) -> None:
    """Both days at once, for their keys are destroyed; a third, due that day, has its own purge."""
    front = front_of(server)
    assert front is not None
    daily.run(front, server.retention)
    restore = backed_up(server, tmp_path / "backup.db")
    department.clock.us = START_US + 364 * DAY_US
    server.retention.run(through=START_US // DAY_US)
    daily.run(front, server.retention)
    known = purges(department)
    assert len(known) == 2
    restore()
    department.clock.step(DAY_US)
    again = server.retention.run()
    repeats = [(RepeatedPurge, one.day) for one in known]
    told = [(type(one), day_text(one.day)) for one in again]
    assert told == [*repeats, (DayPurgeReceipt, "2026-09-20")]
    assert server.retention.waiting() == []
    daily.run(front, server.retention)
    assert purges(department)[:2] == known
    assert [one.day for one in purges(department)[2:]] == ["2026-09-20"]
    reported = Checker(server.store, server.keys, server.packs, server.home.log_key().public_key()).run()
    assert [one for one in reported.problems if "purge" in one] == []
    covered, log = covered_by(department), department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    wrong, unchecked = covered.compare(Reported(days=reported.reported.days))
    assert [one for one in (*wrong, *unchecked) if "purge" in one] == []
    front.close()


def test_a_repeat_of_a_purge_that_the_log_does_not_have_is_named(
    department: Department, server: Server, tmp_path: Path
) -> None:
    """A person with the log's key can sign one to avoid an entry."""
    department.clock.us = START_US + 364 * DAY_US
    none = Purged(day="2026-09-18", reads=1, elements=1, clause="463.8", purged_us=1, receipt=bytes(32))
    forged = StoreRetention(
        server.store,
        server.keys,
        server.packs,
        server.home.log_key(),
        server.home.settings,
        server.time,
        keep_days=lambda: 365,
        first=lambda _day: none,
    )
    assert {type(one) for one in forged.run()} == {RepeatedPurge}
    reported = Checker(server.store, server.keys, server.packs, server.home.log_key().public_key()).run()
    covered, log = covered_by(department), department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    wrong, _ = covered.compare(Reported(days=reported.reported.days))
    words = "repeats an earlier purge whose receipt the log does not have"
    assert [one.partition(" 2026-09-18 ")[2] for one in wrong if "2026-09-18 repeats" in one] == [words]


def test_an_entry_of_a_purge_destroys_no_day_before_its_end(department: Department, server: Server) -> None:
    """So a person who can write to the log cannot use it to destroy a day of receipt."""
    early = Purged(day="2026-09-18", reads=1, elements=1, clause="463.8", purged_us=1, receipt=bytes(32))
    server.first_purge = lambda _day: early
    assert server.retention.run() == []
    assert server.retention.receipts() == []
