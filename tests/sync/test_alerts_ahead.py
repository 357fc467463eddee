"""An alert reaches the department before everything else: its content at once, its leaf in order."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from custody_twins import SteppedTime
from receiver_twins import Joined
from sync_twins import LoopbackLink, bare_home, checked, converse

from storage.read_records import Alert
from storage.times import DAY_US, now_us
from sync.department.content.alert_records import StoreAlerts
from sync.department.ground.department_time import Clocks
from sync.department.server.server import Department
from sync.department.server.verify import Checker
from sync.department.store import opening, unit_logs
from sync.department.store.tables import alert_records, alerts, elements
from sync.errors import LinkError
from sync.hot_lists.entry import ListEntry

PLATE = "7XKR219"


def raise_alert(unit: Joined, read: int) -> int:
    """Record an alert for a read as the board does. Returns its number."""
    entry = ListEntry(plate=PLATE, state="US-CA", category="stolen-vehicle")
    record = Alert(
        read=read, list_id="doj", list_version=1, source="SVS", entry=entry.to_bytes(),
        category="stolen-vehicle", score=0.97, twin=False, disagrees=(), silent=(), stale=False,
        at_us=now_us(),
    )  # fmt: skip
    return unit.ledger.append(record).sequence


def waiting(department: Department) -> list[int]:
    return [one.sequence for one in StoreAlerts(department.store).waiting(set())]


def test_an_alert_is_known_before_a_single_leaf_of_the_backlog_came(
    department: Department, unit: Joined
) -> None:
    unit.add(20, size=40)
    (hit,) = unit.add(1, hit=True, size=40)
    number = raise_alert(unit, hit)
    link = LoopbackLink(department)
    link.cut_at("leaves")
    with pytest.raises(LinkError):
        converse(unit, department, link)
    assert waiting(department) == [number]
    assert converse(unit, department).done
    assert waiting(department) == [number]
    with department.store.read() as connection:
        log = unit_logs.find_log(connection, unit.outbox.log_id)
        assert log is not None
        rows = connection.execute(sa.select(elements).where(elements.c.sequence == number)).all()
        assert (len(rows), unit_logs.complete_to(connection, log)) == (1, log.frontier.size)
        assert connection.execute(sa.select(alerts)).all() == []
    assert checked(department.home).problems == []


def test_a_store_with_an_alert_whose_turn_has_not_come_verifies(department: Department, unit: Joined) -> None:
    """And `verify` misses what was removed: its leaf, its content, its place in the list of alerts."""
    (hit,) = unit.add(1, hit=True, size=40)
    number = raise_alert(unit, hit)
    link = LoopbackLink(department)
    link.cut_at("leaves")
    with pytest.raises(LinkError):
        converse(unit, department, link)
    assert checked(department.home).problems == []
    of_it = elements.c.sequence == number
    for change, words in (
        (alert_records.delete(), "belongs to an alert, but is not listed as one: the desk does not show it"),
        (alerts.update().values(parts=b"x"), "its parcel"),
        (elements.update().where(of_it).values(stored=b"x"), "entry: "),
        (alerts.delete(), "entry: no leaf names it, or it is here twice"),
    ):
        with department.store.write() as connection:
            connection.execute(change)
        assert any(words in one for one in checked(department.home).problems)
    assert converse(unit, department).done  # an unreadable parcel does not stop what follows


def test_an_alert_whose_turn_never_came_is_purged_after_its_year_and_accounted_for(
    tmp_path: Path,
) -> None:
    clock = SteppedTime(us=now_us())
    department = Department(bare_home(tmp_path / "department"), Clocks.simulated(lambda: clock.now().us))
    unit = Joined(tmp_path / "unit", department, "unit")
    (hit,) = unit.add(1, hit=True, size=40)
    raise_alert(unit, hit)
    link = LoopbackLink(department)
    link.cut_at("leaves")
    with pytest.raises(LinkError):
        converse(unit, department, link)
    clock.run(367 * DAY_US)
    department.authority.renew()
    assert len(department.retention.run()) == 1
    with department.store.read() as connection:
        assert connection.execute(sa.select(alerts.c.parts)).scalars().unique().all() == [b""]
        assert connection.execute(sa.select(elements)).all() == []
    key = department.home.log_key().public_key()
    assert Checker(department.store, department.keys, department.packs, key).run().problems == []
    unit.close()
    department.close()


def test_the_bell_rings_once_the_alert_is_stored(department: Department, unit: Joined) -> None:
    unit.add(3)
    before = department.bell.count
    converse(unit, department)
    assert department.bell.count == before
    (hit,) = unit.add(1, hit=True)
    raise_alert(unit, hit)
    link = LoopbackLink(department)
    counted: list[int] = []

    def at_leaves(name: str, data: bytes) -> bytes:
        if name == "leaves":
            counted.append(department.bell.count)
        return data

    link.before = at_leaves
    converse(unit, department, link)
    assert counted[0] == before + 1


def test_an_alert_raised_while_a_backlog_is_sent_does_not_wait_for_its_end(
    department: Department, unit: Joined
) -> None:
    unit.add(40, size=60_000)
    link = LoopbackLink(department)
    numbers: list[int] = []
    posted: list[str] = []  # in order of sending: a parcel is sent in its own thread

    def before(name: str, data: bytes) -> bytes:
        posted.append(name)
        if name == "parcel" and not numbers:
            (hit,) = unit.add(1, hit=True)
            numbers.append(raise_alert(unit, hit))
        return data

    link.before = before
    assert converse(unit, department, link).done
    first, last = posted.index("parcel"), len(posted) - 1 - posted[::-1].index("parcel")
    assert first < posted.index("alert") < last
    assert posted.count("alert") == 2  # the first one has the record of the joining
    assert waiting(department) == numbers


def test_of_many_alerts_the_newest_goes_first(department: Department, unit: Joined) -> None:
    hits = unit.add(3, hit=True)
    numbers = [raise_alert(unit, one) for one in hits]
    link = LoopbackLink(department)
    link.cut_at("leaves")
    with pytest.raises(LinkError):
        converse(unit, department, link)
    with department.store.read() as connection:
        order = connection.execute(
            sa.select(alert_records.c.sequence).order_by(alert_records.c.record_no)
        ).scalars()
        assert list(order) == numbers[::-1]


def test_an_older_store_finds_the_alerts_that_it_holds(department: Department, unit: Joined) -> None:
    hits = unit.add(2, hit=True)
    numbers = [raise_alert(unit, one) for one in hits]
    converse(unit, department)
    config = Config()
    config.set_main_option("script_location", str(opening.MIGRATIONS))
    with department.store.write() as connection:  # in one: between two, a table would be missing
        alert_records.drop(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    assert sorted(waiting(department)) == numbers
