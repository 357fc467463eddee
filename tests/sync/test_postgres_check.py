"""A check of a store on PostgreSQL beside a server: each of its steps sees a newer state of the database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_twin import Clock, empty, postgres_cluster
from receiver_twins import Joined
from sync_twins import LoopbackLink, bare_home, checked, converse, raise_alert

from storage.times import DAY_US
from sync.department.ground.department_time import Clocks
from sync.department.server import verify
from sync.department.server.server import Department
from sync.department.server.verify import Checker
from sync.department.store import unit_logs
from sync.department.store.database import Store
from sync.department.store.tables import elements, leaves
from sync.errors import LinkError


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_cluster() as found:
        yield found


@pytest.mark.one_python
@pytest.mark.parametrize("days", [0, 1], ids=["the same day", "the next day"])
def test_what_units_send_while_others_are_checked_is_no_fault(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Midnight passes too: the rows of the new day are in no list that the check began with."""
    empty(url)
    clock = Clock()
    department = Department(bare_home(tmp_path / "department", database=url), Clocks.simulated(clock))
    monkeypatch.setattr(verify, "AT_ONCE", 4)
    usual, steps = Store.let_others, list[int]()
    with contextlib.closing(department), contextlib.ExitStack() as stack:
        cars = [
            stack.enter_context(contextlib.closing(Joined(tmp_path / f"car {at}", department, f"car {at}")))
            for at in range(3)
        ]
        for one in cars:
            one.add(3)
            assert converse(one, department).done

        def let_others(store: Store, connection: sa.Connection) -> None:
            usual(store, connection)
            steps.append(1)
            if len(steps) in {1, 3, 6, 9, 12}:
                clock.us += days * DAY_US if len(steps) == 3 else 0
                for one in cars:
                    one.add(2)
                    raise_alert(one)
                    assert converse(one, department).done

        monkeypatch.setattr(Store, "let_others", let_others)
        public = department.home.log_key().public_key()
        report = Checker(department.store, department.keys, department.packs, public).run()
        monkeypatch.setattr(Store, "let_others", usual)
        assert report.problems == []
        assert len(steps) > 6
        assert checked(department.home).problems == []


@pytest.mark.one_python
def test_what_was_still_to_come_and_got_its_receipt_since_is_no_false_claim(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A false claim is still named: root marks as missing what a receipt was given for."""
    empty(url)
    home = bare_home(tmp_path / "department", database=url)
    monkeypatch.setattr(verify, "AT_ONCE", 4)
    usual, steps = Store.let_others, list[int]()
    with (
        contextlib.closing(Department(home)) as department,
        contextlib.closing(Joined(tmp_path / "unit", department, "unit")) as unit,
    ):
        (first, *_) = unit.add(3)
        link = LoopbackLink(department)
        link.cut_at("parcel")
        with pytest.raises(LinkError):
            converse(unit, department, link)
        with department.store.read() as connection:
            log = unit_logs.find_log(connection, unit.outbox.log_id)
        assert log is not None
        last = -(-log.frontier.size // 4)

        def let_others(store: Store, connection: sa.Connection) -> None:
            usual(store, connection)
            steps.append(1)
            if len(steps) == last:  # its records are checked, its receipts are not
                assert converse(unit, department).done

        monkeypatch.setattr(Store, "let_others", let_others)
        public = department.home.log_key().public_key()
        report = Checker(department.store, department.keys, department.packs, public).run()
        assert (report.problems, report.receipts > 0) == ([], True)
        with department.store.write() as connection:
            connection.execute(sa.update(leaves).where(leaves.c.sequence == first).values(missing=1))
            connection.execute(sa.delete(elements).where(elements.c.sequence == first))
        assert any("marked as still to come, but a receipt" in one for one in checked(home).problems)
