"""After the store is restored from an older backup, with a remote key service, reads keep their day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from custody_twins import SteppedTime
from desk_keys import TOKEN
from desk_server import serving
from desk_twins import Department
from receiver_twins import Joined
from restore_twins import joined_today, next_day, received
from structlog.testing import capture_logs
from sync_twins import backed_up, converse

from storage.times import DAY_US
from sync.department.content.key_remote import Address, RemoteKeyService, remote
from sync.department.content.key_server import key_app
from sync.department.content.key_service import NOT_OF_DAY, ONLY_TODAY, Kept, LocalKeyService, ReceivingKeys
from sync.department.content.opened_list import OpenedList
from sync.department.desk.context import DeskContext
from sync.department.server import daily
from sync.department.server.open_desk import front_of
from sync.department.server.server import Department as Server
from sync.department.server.verify import Checker
from sync.department.units.arrival import Arrival
from sync.errors import (
    KeyServiceAwayError,
    KeyServiceError,
    LinkError,
    OlderKeyServiceError,
)


@pytest.fixture
def unit(department: Department, server: Server, tmp_path: Path) -> Iterator[Joined]:
    with joined_today(department, server, tmp_path / "unit") as made:
        yield made


class EarlierKeys:
    """A remote key service of a version that did not record what it sealed for which day."""

    def __init__(self, keys: ReceivingKeys, today: int) -> None:
        self._keys, self._today = keys, today

    def __getattr__(self, name: str) -> object:
        return getattr(self._keys, name)

    def open_and_reseal(self, day: int, *rest: Any) -> list[Kept]:
        if day < self._today - 1:
            raise KeyServiceError(ONLY_TODAY)
        return self._keys.open_and_reseal(day, *rest)

    def reseal_again(self, *_: Any) -> list[tuple[int, Kept]]:
        raise OlderKeyServiceError("does not know this check")


class AwayKeys(EarlierKeys):
    """A remote key service that does not answer."""

    def open_and_reseal(self, *_: Any) -> list[Kept]:
        raise KeyServiceAwayError("no answer")


@pytest.mark.parametrize("is_earlier", [False, True])
def test_reads_that_come_again_keep_their_day_with_a_key_service_elsewhere(
    department: Department,
    server: Server,
    unit: Joined,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    tmp_path: Path,
    is_earlier: bool,
) -> None:
    """463.8: it seals for a past day only what it sealed for that day before; an unknown read belongs to
    today.
    """
    front = front_of(server)
    assert front is not None
    keys = server.receiver._arrival._keys = elsewhere[0]
    restore = backed_up(server, tmp_path / "backup.db")
    unit.add(3)
    converse(unit, server)
    day = department.clock.us // DAY_US
    next_day(department, server, front)
    before = received(server)
    restore()
    front.close()
    front = front_of(server)  # the server restarts
    assert front is not None
    department.clock.step(3 * DAY_US)
    assert server.time.accept(department.clock.us)
    today = department.clock.us // DAY_US
    if is_earlier:
        server.receiver._arrival._keys = EarlierKeys(keys, today)  # type: ignore[assignment]
    unit.add(1)
    assert converse(unit, server).done
    after = received(server)
    expected = {day: 0, today: 4} if is_earlier else {day: before[day]["text"], today: 1}
    assert {one: after.get(one, {}).get("text", 0) for one in expected} == expected
    report = Checker(server.store, server.keys, server.packs, server.home.log_key().public_key()).run()
    assert [one for one in report.problems if "vouch" not in one] == []  # about the department's own reads
    front.close()


@pytest.mark.thorough_rows
@pytest.mark.parametrize("second_first", [False, True])
def test_reads_of_two_days_keep_their_own_in_whatever_order_they_come_again(
    department: Department,
    server: Server,
    unit: Joined,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    tmp_path: Path,
    second_first: bool,
) -> None:
    """The log's counts do not show which unit's reads came on which day; the key service knows."""
    other = Joined(tmp_path / "other", server, "car 13", time_source=SteppedTime(department.clock.us))
    department.front.send_down()
    daily.list_units(department.front)
    converse(other, server)
    front = front_of(server)
    assert front is not None
    keys = server.receiver._arrival._keys = elsewhere[0]
    restore = backed_up(server, tmp_path / "backup.db")
    day = department.clock.us // DAY_US
    unit.add(3)
    converse(unit, server)
    other.add(2)
    server.receiver._arrival._keys = AwayKeys(keys, day)  # type: ignore[assignment]
    with pytest.raises(LinkError, match="cannot store now"):
        converse(other, server)  # leaves on the first day, content on the second
    server.receiver._arrival._keys = keys
    next_day(department, server, front)
    converse(other, server)
    next_day(department, server, front)
    before = received(server)
    restore()
    front.close()
    server.store._days.clear()  # as after a restart
    front = front_of(server)
    assert front is not None
    department.clock.step(3 * DAY_US)
    assert server.time.accept(department.clock.us)
    for one in (other, unit) if second_first else (unit, other):
        assert converse(one, server).done
    after = received(server)
    assert [after[one] for one in (day, day + 1)] == [before[one] for one in (day, day + 1)]
    assert before[day]["text"] == 3
    report = Checker(server.store, server.keys, server.packs, server.home.log_key().public_key()).run()
    assert [one for one in report.problems if "vouch" not in one] == []
    other.close()
    front.close()


@pytest.mark.parametrize("ahead", [-2, 2, 5])
def test_a_key_service_of_another_day_stops_the_delivery_and_loses_nothing(
    department: Department, server: Server, unit: Joined, tmp_path: Path, ahead: int
) -> None:
    """The unit keeps its reads, and people learn that two clocks differ."""

    def clock() -> int:
        return department.clock.us + ahead * DAY_US

    keys, opened = LocalKeyService(department.home.keys, clock), OpenedList(tmp_path / "elsewhere")
    app = key_app(keys, opened, department.home.root_file.read_bytes(), TOKEN, clock)
    unit.add(2)
    own, before = server.receiver._arrival._keys, received(server)
    with serving(app) as client:
        address = Address(url=str(client.base_url).rstrip("/"), token=TOKEN)
        server.receiver._arrival._keys = remote(address, client)[0]
        with capture_logs() as events, pytest.raises(LinkError, match="cannot store now"):
            converse(unit, server)
    assert [one for one in events if "compare the clock of this server" in str(one)]
    assert received(server) == before
    server.receiver._arrival._keys = own
    assert converse(unit, server).done
    assert received(server)[department.clock.us // DAY_US]["text"] == 2
    keys.close()
    opened.close()


@pytest.mark.parametrize(
    ("later", "refused", "said"),
    [(1, None, "names an invalid day of receipt"), (0, NOT_OF_DAY, NOT_OF_DAY)],
)
def test_a_key_service_that_knows_no_such_day_stops_the_delivery(
    server: Server, unit: Joined, monkeypatch: pytest.MonkeyPatch, later: int, refused: str | None, said: str
) -> None:
    real = Arrival._resealed

    def odd(self: Arrival, day: int, *rest: Any) -> list[tuple[int, Kept]]:
        kept = real(self, day, *rest)
        return [(of + later, one if refused is None else Kept(b"", refused=refused)) for of, one in kept]

    unit.add(1)
    monkeypatch.setattr(Arrival, "_resealed", odd)
    with capture_logs() as events, pytest.raises(LinkError, match="cannot store now"):
        converse(unit, server)
    assert [one for one in events if "key service" in str(one) and said in str(one)]
    monkeypatch.undo()
    assert converse(unit, server).done
