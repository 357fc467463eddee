"""Reads of a closed log at the desk are found and exported with a mark, and destroyed when due.

A fork closed the unit's log, and sync handed it over; the calls go over HTTP to a running server.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from custody_twins import SteppedTime
from desk_server import serving
from desk_twins import GROUND, HOLD, PASSWORD, Department
from packages import signed_again
from receiver_twins import Joined
from sqlalchemy import func, select
from starlette.applications import Starlette
from sync_twins import LoopbackLink, converse

from storage.errors import PackageError
from storage.times import DAY_US, HOUR_US
from sync.closed_delivery import ClosedDelivery
from sync.department.cli import main
from sync.department.commands.client import RemoteDesk
from sync.department.content import package
from sync.department.desk.api import routes
from sync.department.desk.holds.calls import Exported, ExportForm, Placed
from sync.department.desk.inquiry.forms import Answer, ImageForm, Images, RunForm
from sync.department.server.server import Department as Server
from sync.department.server.verify import Checker
from sync.department.store.tables import days, elements, logs, tokens
from sync.handover import closed_logs
from sync.rollover import keep_keys, registration, roll_over

PLATE = "7XKR219"
SENT, UNSENT = 2, 3


@pytest.fixture
def handed(department: Department, server: Server, tmp_path: Path) -> Iterator[Joined]:
    """A unit whose log a fork closed, with reads that only the hand-over delivered."""
    unit = Joined(tmp_path / "unit", server, "car 12", time_source=SteppedTime(department.clock.us))
    unit.add(SENT, text=PLATE)
    converse(unit, server)
    unit.add(UNSENT, text=PLATE)
    log_id, previous = unit.outbox.log_id, unit.outbox.anchored_note()
    keep_keys(unit.folder, log_id, unit.outbox.sealed_keys())
    unit.ledger.close()
    unit.ledger = roll_over(
        unit.home, unit.slot, unit.clock, unit.folder, previous=previous, reason="the department refused it"
    )
    message = registration(unit.outbox, unit.folder, unit.folder.unit_key(), previous=None, reason="a fork")
    server.enrollment.answer("new-log", message)
    key = server.home.log_key().public_key()
    ClosedDelivery(unit.outbox, LoopbackLink(server), key, parcel_bytes=1 << 20).run(unit.folder)
    assert closed_logs(unit.folder) == []
    yield unit
    unit.close()


@pytest.fixture
def desk(department: Department) -> Iterator[RemoteDesk]:
    with (
        serving(Starlette(routes=routes(department.front))) as client,
        RemoteDesk(str(client.base_url)) as remote,
    ):
        department.clock.step(31_000_000)
        remote.logon("super", PASSWORD, department.code("super"), proves=True)
        yield remote


def problems(department: Department, server: Server) -> list[str]:
    """What `department verify` finds in the store, except about the unit of the tests' department."""
    key = server.home.log_key().public_key()
    found = Checker(server.store, server.keys, server.packs, key).run().problems
    return [one for one in found if not one.startswith(f"log {department.reads[0][:16]}")]


def found(department: Department, desk: RemoteDesk, plate: str = PLATE) -> Answer:
    query = replace(department.plate(plate), since_us=department.clock.us - DAY_US)
    answer = desk.call("inquiry/run", RunForm(query=query, ground=GROUND))
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.usefixtures("handed")
def test_a_search_finds_the_reads_of_a_closed_log_and_marks_them(
    department: Department, desk: RemoteDesk
) -> None:
    answer = found(department, desk)
    assert sorted(one.closed_log for one in answer.reads) == [False] * SENT + [True] * UNSENT
    marked = next(one.read for one in answer.reads if one.closed_log)
    images = desk.call("inquiry/image", ImageForm(access=answer.access, read=marked, ground=GROUND))
    assert isinstance(images, Images)
    assert images.patch
    assert images.overview


@pytest.mark.usefixtures("handed")
def test_an_export_holds_them_with_their_mark_and_a_stranger_verifies_it(
    department: Department, desk: RemoteDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = found(department, desk)
    reads = tuple(one.read for one in answer.reads)
    placed = desk.call("hold/place", replace(HOLD, reads=reads, accesses=(answer.access,)))
    assert isinstance(placed, Placed)
    made = desk.call("hold/export", ExportForm(hold=placed.hold, medium="USB 1", ground=GROUND))
    assert isinstance(made, Exported)
    head = package.check(made.package, department.desk.log.public).head
    assert len(head.reads) == SENT + UNSENT
    with zipfile.ZipFile(io.BytesIO(made.package)) as archive:
        names = archive.namelist()
        assert sum(name.endswith(package.CLOSED) for name in names) == UNSENT
        assert sum(name.endswith("record.tlog-proof") for name in names) == SENT
        assert "closed log" in archive.read("cover.html").decode()
        loose = {f"reads/{at}" for at, one in enumerate(answer.reads) if one.closed_log}
    (tmp_path / "package.zip").write_bytes(made.package)
    key = department.desk.log.note_key.text()
    assert main(["verify", str(tmp_path / "package.zip"), "--key", key]) == 3
    out = capsys.readouterr().out
    assert f"proven in place in the log of its unit: {SENT} of {SENT + UNSENT} reads" in out
    assert "the package verifies" not in out
    assert {line.split()[4] for line in out.splitlines() if line.startswith("not proven in place: ")} == loose
    with zipfile.ZipFile(io.BytesIO(made.package)) as archive:
        files = {name: archive.read(name) for name in names}
    del files["reads/0/record.tlog-proof" if "reads/0" not in loose else f"reads/0/{package.CLOSED}"]
    with pytest.raises(PackageError, match="has no proof of its place"):
        package.check(signed_again(files, department.home.log_key()), department.desk.log.public)


@pytest.mark.usefixtures("handed")
def test_their_day_of_receipt_destroys_them_with_all_the_others(
    department: Department, server: Server
) -> None:
    day = department.clock.us // DAY_US
    assert problems(department, server) == []
    with server.store.read() as connection:
        beside = (
            connection.execute(select(logs.c.log_no).where(logs.c.closed_of.is_not(None))).scalars().all()
        )
        held = connection.execute(
            select(func.count()).select_from(elements).where(elements.c.log_no.in_(beside))
        ).scalar_one()
    assert len(beside) == 1
    assert held >= UNSENT * 4
    department.clock.us = (day + 366) * DAY_US - HOUR_US
    assert [one.day for one in server.retention.run() if one.day >= day] == []
    assert server.keys.has_store_key(day)
    department.clock.us = (day + 366) * DAY_US + HOUR_US
    with server.store.read() as connection:
        older = connection.execute(select(days.c.day).where(days.c.day < day)).scalars().all()
    done = [one.day for one in server.retention.run(max(older, default=-1))]
    done += [one.day for one in server.retention.run(day)]
    assert day in done
    assert not server.keys.has_store_key(day)
    assert server.packs.names(day) == set()
    with server.store.read() as connection:
        for table in (elements, tokens):
            rows = select(func.count()).select_from(table).where(table.c.day == day)
            assert connection.execute(rows).scalar_one() == 0
    assert problems(department, server) == []
    for user in ("chief", "super"):
        department.renew_password(user)
    department.train(department.logon("chief"), "super", "chief")
    query = replace(department.plate(PLATE), since_us=day * DAY_US, until_us=(day + 1) * DAY_US)
    after = department.call("inquiry/run", department.logon("super"), RunForm(query=query, ground=GROUND))
    assert isinstance(after, Answer)
    assert after.count == 0
