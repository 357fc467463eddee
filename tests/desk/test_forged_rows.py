"""For forged rows of offered documents in the store, the next version follows the log, not the row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from desk_root import covered_by
from desk_twins import Department
from structlog.testing import capture_logs

from storage import codec, envelope
from storage.grant_format import REVOCATIONS
from storage.times import HOUR_US
from sync.department.journal import check_log
from sync.department.policy.named_files import COMMAND
from sync.department.server import daily
from sync.department.server.server import Department as Server
from sync.department.server.verify import Checker
from sync.department.store.tables import documents as table
from sync.department.units import documents
from sync.department.units.list_seal import unsealing
from sync.documents import Carried
from sync.errors import HomeError
from sync.hot_lists.held import CLEARED, MUTED

LAST = (1 << 63) - 1
ALL = ("policy", "roster", "day-keys", REVOCATIONS, CLEARED, MUTED, "configuration")


@pytest.fixture(name="offering")
def whole_department(department: Department) -> Department:
    """A department that offers one document of each kind, all of them in the log."""
    department.front.send_down()
    department.front.offer_cleared()
    department.front.grants.revoke(["t.okafor"], department.clock.us)
    _configure(department)
    daily.count_days(department.front)
    return department


def _configure(department: Department) -> None:
    department.front.sign_document("configuration", b"x", department.clock.us, "")


def _forge(server: Server, name: str, **changes: object) -> None:
    with server.store.write() as connection:
        done = connection.execute(sa.update(table).where(table.c.name == name).values(**changes))
    assert done.rowcount == 1


def _versions(server: Server) -> dict[str, int]:
    with server.store.read() as connection:
        return {row.name: row.version for row in connection.execute(sa.select(table.c.name, table.c.version))}


def _verdict(department: Department, server: Server) -> list[str]:
    covered, log, home = covered_by(department), department.desk.log, department.home
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    checker = Checker(
        *(server.store, server.keys, server.packs, log.public, unsealing(home)),
        command=department.desk.root.other(COMMAND),
    )
    wrong = covered.compare(checker.run(content=False).reported)[0]
    return [one for one in wrong if "no person signed" not in one]  # no call made this configuration


@pytest.mark.thorough_rows
@pytest.mark.parametrize("name", ALL)
def test_the_next_version_follows_the_log_over_a_row_of_the_greatest_version(
    offering: Department, server: Server, name: str
) -> None:
    said = offering.desk.book.sent.version(name, "")
    assert said == _versions(server)[name]
    _forge(server, name, version=LAST)
    offering.clock.step(HOUR_US)
    with capture_logs() as events:
        offering.front.send_down()
        _configure(offering)
        offering.front.grants.revoke(["m.lopez"], offering.clock.us)
        offering.front.offer_cleared()
    assert name in {one["document"] for one in events if one["event"] == "unsigned_document_removed"}
    now = _versions(server)
    assert set(now) >= set(ALL)
    assert max(now.values()) < 1 << 40
    assert now[name] >= said
    assert offering.desk.book.sent.version(name, "") == now[name]
    assert _verdict(offering, server) == []


@pytest.mark.parametrize("name", ALL)
def test_verify_and_compliance_name_a_made_up_row_and_the_daily_run_enters_none(
    offering: Department, server: Server, name: str
) -> None:
    _forge(server, name, version=LAST)
    said = f"units are offered {name}, version {LAST}, which the command key did not sign"
    assert said in _verdict(offering, server)
    lines = [one.what for one in offering.front.overdue_from_store(offering.clock.us)]
    assert [one for one in lines if one.startswith(said)]
    assert offering.front.enter_sent() == 0
    assert offering.desk.book.sent.version(name, "") < LAST


@pytest.mark.parametrize("name", ["policy", "roster", "day-keys"])
def test_a_message_that_was_cut_is_signed_again_and_no_list_key_is_blamed(
    offering: Department, server: Server, name: str
) -> None:
    _forge(server, name, message=b"\x00")
    (line,) = _verdict(offering, server)
    assert line.startswith(f"units are offered {name}, version ")
    assert "hotlists.key" not in line
    offering.front.send_down()
    assert _verdict(offering, server) == []


def test_a_version_that_an_earlier_version_entered_of_a_made_up_row_stops_nothing(
    offering: Department, server: Server
) -> None:
    offering.desk.book.sent.newest["roster "] = LAST
    version = documents.next_version
    with server.store.read() as connection:
        said: Callable[[str, str], int] = offering.desk.book.sent.version
        assert version(connection, "roster", "", said) == _versions(server)["roster"] + 1


def test_names_that_were_revoked_are_not_lost_with_a_made_up_row(
    offering: Department, server: Server
) -> None:
    path: Path = offering.home.path / "revocations.cbor"
    kept = path.read_bytes()
    _forge(server, REVOCATIONS, version=LAST)
    path.unlink()
    with pytest.raises(HomeError, match="no one signed the list of revoked grants"):
        offering.front.grants.revoke(["m.lopez"], offering.clock.us)
    path.write_bytes(kept)
    assert offering.front.grants.revoke(["m.lopez"], offering.clock.us) == 2
    with server.store.read() as connection:
        _, message = documents.out(connection, REVOCATIONS)
    carried = codec.from_bytes(Carried, envelope.split(message)[1])
    assert sorted(envelope.decode(carried.body)) == ["m.lopez", "t.okafor"]
