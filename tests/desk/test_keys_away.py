"""While a remote key service does not answer: what still works, what waits, and what people read."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from desk_keys import TOKEN
from desk_twins import GROUND, Department
from receiver_twins import Joined
from sync_twins import bare_home, converse

from storage.times import DAY_US
from sync.department.cli import main
from sync.department.content.key_remote import ADDRESS_FILE, CERTIFICATES, Address, RemoteKeyService, remote
from sync.department.content.proven_door import ProvenDoor
from sync.department.desk.context import DeskContext
from sync.department.desk.holds.calls import AskReleaseForm, Exported, ExportForm, finish
from sync.department.desk.owed import Late
from sync.department.ground.department_time import Clocks, DepartmentTime
from sync.department.ground.home import DepartmentHome
from sync.department.ground.tls import EXPIRED, NOT_YET, OTHER_NAME, UNTRUSTED
from sync.department.server.due_work import standing
from sync.department.server.keys_reach import EVERY_S, KeysReach
from sync.department.server.open_desk import first_administrator, open_front
from sync.department.server.retention import StoreRetention
from sync.department.server.server import Department as Server
from sync.department.store.blobs import open_packs
from sync.department.store.opening import open_store
from sync.errors import InvalidInputError, KeyServiceAwayError

AWAY = "key service https://127.0.0.1:1: no answer: ConnectError"


def away(home: DepartmentHome) -> str:
    """Configure a key service at an address without one. Returns the file that names it."""
    path = home.path / ADDRESS_FILE
    path.write_text(f'url = "https://127.0.0.1:1"\ntoken = "{TOKEN}"\n')
    return str(path)


@pytest.mark.parametrize("words", [(), ("--quick",)])
def test_while_the_key_service_is_away_all_that_needs_none_of_its_keys_is_found(
    department: Department, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Once, `verify` printed one line that looked like a finding, and checked nothing."""
    home = str(department.home.path)
    assert main(["--home", home, "verify", *words]) == 1  # because the tests' unit is not a real one
    before = capsys.readouterr().out.splitlines()
    path = away(department.home)
    assert main(["--home", home, "verify", *words]) == 1
    after = capsys.readouterr().out.splitlines()
    wrong = [[one for one in lines if one.startswith("WRONG")] for lines in (before, after)]
    assert (wrong[0], after[0]) == (wrong[1], before[0])  # after: the line with the counts
    lines = [one for one in after if AWAY in one]
    assert all(one.startswith("not checked: ") and path in one for one in lines)
    named = " ".join(lines)
    assert ("sealed element" in named, "search token" in named) == ((False, False) if words else (True, True))
    assert "not checked: the key service's own list: " in named


def test_a_sound_store_is_reported_as_partly_checked_while_the_key_service_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(bare_home(tmp_path / "department"))
    unit = Joined(tmp_path / "unit", server, "unit")
    unit.add(2)
    converse(unit, server)
    unit.close()
    server.close()
    words = ["--home", str(server.home.path), "verify"]
    assert main(words) == 0
    away(server.home)
    capsys.readouterr()
    assert main(words) == 3
    said = capsys.readouterr().out
    assert AWAY in said
    assert ("nothing is wrong with what was checked" in said, "WRONG" in said) == (True, False)
    assert main(["--json", *words]) == 3
    facts = json.loads(capsys.readouterr().out.splitlines()[0])
    assert any(AWAY in one for one in facts["unchecked"])


def test_a_desk_that_cannot_reach_its_keys_leaves_no_file_of_the_home_open(tmp_path: Path) -> None:
    home = bare_home(tmp_path / "home")
    first_administrator(home, "chief", "A. Chief")
    (home.path / ADDRESS_FILE).write_text('url = "http://keys.example"\ntoken = "secret"\n')
    before = _open_files(home)
    with pytest.raises(InvalidInputError, match="never travel unencrypted"):
        open_front(home)
    assert _open_files(home) == before


def _open_files(home: DepartmentHome) -> list[str]:
    """The files of a home that this process has open, once for each descriptor."""
    links = [one.readlink() for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    return sorted(str(one) for one in links if one.is_relative_to(home.path))


def test_a_key_service_that_does_not_serve_is_overdue_until_it_does(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    """It is asked at most once a minute, although each page asks what is overdue."""
    seconds = [0.0]
    for address, problem in (
        (Address(url=elsewhere[2], token="1" * 64), "not admitted"),
        (Address(url="http://127.0.0.1:1", token=TOKEN), "no answer: ConnectError"),
    ):
        away, _ = remote(address)
        reach = KeysReach(away, lambda: seconds[0])
        (late,) = reach.overdue()
        assert (late.kind, problem in late.what) == (Late.SERVICE, True)
        away.close()  # a closed client raises when it is asked
        seconds[0] += EVERY_S - 1
        assert reach.overdue() == [late]
    assert KeysReach(elsewhere[0]).overdue() == []
    address_file = department.home.path / ADDRESS_FILE
    address_file.write_text(f'url = "https://127.0.0.1:1"\ntoken = "{TOKEN}"\n')
    front = open_front(department.home, clock=department.clock)
    try:
        assert any(one.startswith("OVERDUE service ") for one in standing(front).lines())
    finally:
        front.close()


@pytest.mark.parametrize(
    ("code", "what"), [(10, EXPIRED), (9, NOT_YET), (62, OTHER_NAME), (64, OTHER_NAME), (19, UNTRUSTED)]
)
def test_what_is_wrong_with_the_certificate_of_a_key_service_is_reported(code: int, what: str) -> None:
    """The text "no answer: ConnectError" once made people check addresses that were right."""
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_code = code

    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("TLS") from refused

    with httpx.Client(transport=httpx.MockTransport(refuse)) as client:
        service, _ = remote(Address(url="https://127.0.0.1:1", token=TOKEN), client)
        with pytest.raises(KeyServiceAwayError, match=what) as refused_by:
            service.issue_day_keys(1, 1)
        assert refused_by.value.cure == CERTIFICATES[what]
        assert "start it" not in KeysReach(service).overdue()[0].what


@pytest.mark.thorough
def test_an_export_a_release_and_a_purge_wait_for_a_key_service_that_is_away(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    """Nothing is destroyed halfway: the day keeps its rows and pictures until then, the hold its files."""
    service, near, _url = elsewhere
    absent, door = remote(Address(url="https://127.0.0.1:1", token=TOKEN))
    far = replace(near, door=ProvenDoor(lambda: door, department.desk.log))
    department.front = near
    hold = department.held(department.logon("super"))
    department.front = far
    export = ExportForm(hold=hold, medium="USB 1", ground=GROUND)
    with pytest.raises(KeyServiceAwayError, match="no answer") as refused:
        department.call("hold/export", department.logon("super"), export)
    assert (refused.value.exit_status, hold in department.desk.book.holds.exported) == (3, False)
    department.front = near
    made = department.call("hold/export", department.logon("super"), export)
    assert isinstance(made, Exported)
    book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")
    department.call("hold/book", department.logon("super"), book)
    department.call("hold/ask-release", department.logon("super"), book)
    department.front = far
    kept = far.vault.kept()
    with pytest.raises(KeyServiceAwayError):
        department.call("hold/release", department.logon("chief"), book)
    assert far.vault.kept() == kept
    finish(near)
    assert near.vault.kept() == []

    store, home = open_store(department.home.database_url), department.home
    department.clock.step(370 * DAY_US)
    time, packs = DepartmentTime(home.path, Clocks.simulated(department.clock)), open_packs(home)
    assert time.accept(department.clock.us)
    purges = [
        StoreRetention(store, keys, packs, home.log_key(), home.settings, time, keep_days=lambda: 365)
        for keys in (absent, service)
    ]
    day = min(one.day for one in purges[0].plan())
    before = (purges[0].counted(day), packs.names(day))
    with pytest.raises(KeyServiceAwayError):
        purges[0].run()
    assert (purges[0].counted(day), packs.names(day)) == before
    assert (purges[0].receipts(), service.has_store_key(day)) == ([], True)
    assert [one.day for one in purges[1].run()] == [day]
    assert (purges[1].counted(day), service.has_store_key(day)) == ((0, 0), False)
    store.close()
    absent.close()
