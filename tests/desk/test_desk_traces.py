"""A department whose access log is missing is not a new one: any trace of its desk shows that, and no
command works without a person.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sync_twins import bare_home

from storage import codec
from storage.roster import Roster, RosterPerson
from storage.times import now_us
from sync import root_file
from sync.department.cli import main
from sync.department.content.key_service import LocalKeyService
from sync.department.content.opened_list import OpenedList
from sync.department.desk.grants.signer import GrantOffice
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.journal.witness_server import KEY_FILE, WitnessFolder
from sync.department.server.desk_traces import log_is_here
from sync.department.server.founding import OFFICES
from sync.department.server.keys_traces import demand_keys
from sync.department.server.open_desk import first_administrator, has_desk, open_desk
from sync.department.server.server import Department
from sync.department.store.opening import open_store_of
from sync.department.units import documents
from sync.errors import HomeError, KeyServiceError
from sync.root_file import KEY_SERVICE, NamedKey, RootWitness, describe

PERSON = RosterPerson(
    user="chief",
    roles=("administrator",),
    organisation="Monrovia PD",
    ssh_keys=(),
    password=None,
    trained_us=0,
    topics=(),
    trainer="",
    revoked=False,
)


@pytest.fixture
def home(tmp_path: Path) -> DepartmentHome:
    return bare_home(tmp_path / "home")


def with_file(name: str) -> Callable[[DepartmentHome], None]:
    def leave(home: DepartmentHome) -> None:
        path = home.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")

    return leave


def with_root(**changes: object) -> Callable[[DepartmentHome], None]:
    def leave(home: DepartmentHome) -> None:
        root = replace(describe(home.root_file.read_bytes())[0], **changes)  # type: ignore[arg-type]
        keys = [load_ed25519(home.path / "root-keys" / f"{name}.key") for name in OFFICES]
        home.root_file.write_bytes(root_file.assemble(root, [root_file.sign(root, key) for key in keys]))

    return leave


def with_witness(home: DepartmentHome) -> None:
    with closing(WitnessFolder.create(home.path.parent / "witness", "witness.example/a")) as made:
        keys = tuple(one.text() for one in made.keys)
    named = RootWitness(keys=keys, url="https://witness.example")
    with_root(witnesses=(named,), quorum=1)(home)


def with_head(home: DepartmentHome) -> None:
    listed = OpenedList(home.keys)
    listed.add_head(3, os.urandom(32), witnessed=False, at_us=now_us())
    listed.close()


def with_people(home: DepartmentHome) -> None:
    store = open_store_of(home)
    body = codec.to_bytes(Roster(version=1, demo=False, people=(PERSON,)))
    message = documents.sign_document("roster", body, load_ed25519(home.path / "command.key"))
    with store.write() as connection:
        documents.publish(connection, "roster", 1, message, now_us())
    store.close()


TRACES: dict[str, tuple[Callable[[DepartmentHome], None], str]] = {
    "an audit key": (with_file("desk/audit-keys/2026.key"), "desk/audit-keys is here"),
    "a hold": (with_file("desk/holds/1/reads"), "desk/holds is here"),
    "a snapshot": (with_file("desk/book.snapshot"), "desk/book.snapshot is here"),
    "a hold's key": (with_file("keys/hold/1.key"), "the key service has keys of holds"),
    "a package": (with_file("case-exports/26-1.zip"), "case-exports/ has exported packages"),
    "an evidence authority": (with_file("evidence/ca.key"), "evidence/ has an authority"),
    "a witness": (with_witness, "the root file names a witness"),
    "a later root file": (with_root(version=2), "the root file is version 2"),
    "a tree head": (with_head, "opened.sqlite) has tree heads"),
    "people at the units": (with_people, "a roster of its people"),
}
WITHOUT_PERSON = (
    "enroll --name Car-12",
    "enroll --revoke Car-12 --why lost",
    "grant revoke t.okafor",
    "send configuration {settings}",
    "user first chief",
    "compliance",
)


@pytest.mark.parametrize("trace", TRACES)
def test_any_trace_of_a_desk_stops_what_would_pass_for_a_department_without_one(
    home: DepartmentHome, trace: str
) -> None:
    leave, words = TRACES[trace]
    assert not has_desk(home)
    leave(home)
    with pytest.raises(HomeError, match="the access log is gone, or empty, and this department had") as no:
        has_desk(home)
    assert words in no.value.what
    assert no.value.where == str(home.path / "desk" / "access-log.sqlite")
    assert "restore it from its backup, with desk/audit-keys" in no.value.cure
    for open_or_make in (open_desk, lambda one: first_administrator(one, "chief", "Chief")):
        with pytest.raises(HomeError, match="access log is gone"):
            open_or_make(home)
    assert not (home.path / "desk" / "access-log.sqlite").exists()


@pytest.mark.parametrize("how", ["its folder", "an empty log"])
def test_no_command_works_without_a_person_where_the_desk_was_taken_away(
    home: DepartmentHome, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    first_administrator(home, "chief", "Chief Example")
    with_witness(home)
    shutil.rmtree(home.path / "desk")
    if how == "an empty log":
        (home.path / "desk").mkdir()
        (home.path / "desk" / "access-log.sqlite").touch()
    (tmp_path / "reader.toml").write_text("[camera]\nwidth = 1280\n")
    wrong = {}
    for command in WITHOUT_PERSON:
        words = command.format(settings=tmp_path / "reader.toml").split()
        capsys.readouterr()
        status = main(["--home", str(home.path), *words])
        said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("{", "20"))]
        if status != 2 or len(said) != 1 or "access-log.sqlite: the access log is gone" not in said[0]:
            wrong[command] = (status, said)
    assert wrong == {}
    capsys.readouterr()
    assert main(["--home", str(home.path), "verify"]) == 1
    assert "WRONG the access log is not here, and this department had a desk" in capsys.readouterr().out
    assert not log_is_here(home)


def test_a_new_department_works_without_a_desk_until_its_first_administrator(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ("enroll --name Car-12", "grant revoke t.okafor", "verify", "user first chief"):
        assert main(["--home", str(home.path), *words.split()]) == 0, capsys.readouterr().err
    assert has_desk(home)
    open_desk(home).close()


def test_a_start_that_was_cut_off_before_its_first_entry_is_not_a_desk(home: DepartmentHome) -> None:
    (home.path / "desk").mkdir()
    (home.path / "desk" / "access-log.sqlite").touch()
    assert not has_desk(home)
    first_administrator(home, "chief", "Chief Example")
    assert has_desk(home)


@pytest.mark.parametrize("how", ["missing", "another", "cut"])
def test_the_key_that_seals_credentials_is_never_made_again(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    first_administrator(home, "chief", "Chief Example")
    path = home.path / "desk" / "audit-keys" / "0.key"
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(os.urandom(32) if how == "another" else b"half")
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(HomeError, match=r"0\.key: .*restore it from its backup: no one can log in"):
        open_desk(home)
    with pytest.raises(HomeError, match=r"0\.key"):
        first_administrator(home, "second", "Second Example")
    capsys.readouterr()
    assert main(["--home", str(home.path), "verify"]) == 1
    assert "0.key: " in capsys.readouterr().out
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_home_that_lost_its_settings_is_not_founded_over(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise its keys, and the authority that its units trust, would be replaced."""
    before = {one: one.read_bytes() for one in home.path.rglob("*") if one.is_file()}
    (home.path / "department.toml").unlink()
    assert main(["init", "--home", str(home.path), "--host", "localhost"]) == 2
    assert "department.toml is gone (restore department.toml from its backup" in capsys.readouterr().err
    elsewhere = home.path.parent / "new"
    keys = ["--keys-folder", str(home.path / "keys")]
    documents_of(home)
    assert main(["init", "--home", str(elsewhere), "--host", "localhost", *keys]) == 2
    assert "keys of another department" in capsys.readouterr().err
    assert not elsewhere.exists()
    for one, data in before.items():
        if one.name not in {"department.toml", "store.db", "service.log"}:
            assert one.read_bytes() == data, one


def documents_of(home: DepartmentHome) -> None:
    """Day keys, as made with the first enrollment code."""
    department = Department(home)
    documents.refresh(home, department.store, department.keys, now_us())
    department.close()


def test_revoked_grants_stay_revoked_where_the_file_is_gone(home: DepartmentHome) -> None:
    store = open_store_of(home)
    office = GrantOffice(home, store)
    assert office.revoke(["t.okafor"], now_us()) == 1
    (home.path / "revocations.cbor").unlink()
    assert office.revoke(["p.lind"], now_us()) == 2
    store.close()


def test_a_home_whose_key_service_was_elsewhere_gets_no_keys_of_its_own(home: DepartmentHome) -> None:
    """`keys.remote` is missing, and so is the folder of keys, which had moved to another machine."""
    documents_of(home)
    shutil.rmtree(home.keys)
    store = open_store_of(home)
    with pytest.raises(HomeError, match=r"3 day keys .* gone.*keys\.remote if the key service is elsewhere"):
        demand_keys(home, store, now_us())
    named = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    others = (*describe(home.root_file.read_bytes())[0].others, NamedKey(name=KEY_SERVICE, public=named))
    with_root(others=others)(home)
    with pytest.raises(HomeError, match=r"keys\.remote: is gone, and the root file names a key service"):
        demand_keys(home, store, now_us())
    store.close()


def test_day_keys_that_are_lost_for_good_are_replaced_by_a_command_of_a_person(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    documents_of(home)
    assert main(["--home", str(home.path), "keys", "renew"]) == 2  # no key is missing
    for one in (home.keys / "day").iterdir():
        one.unlink()
    capsys.readouterr()
    assert main(["--home", str(home.path), "--json", "keys", "renew"]) == 0
    assert json.loads(capsys.readouterr().out)["lost"] == 3
    with closing(open_store_of(home)) as store:
        demand_keys(home, store, now_us())


def test_a_key_of_today_that_is_gone_is_not_made_again_in_a_running_service(tmp_path: Path) -> None:
    service = LocalKeyService(tmp_path)
    service._store_key(20_000, make=True)
    (tmp_path / "store" / "20000.key").unlink()
    with pytest.raises(KeyServiceError, match=r"20000\.key: is gone"):
        service._store_key(20_000, make=True)
    service.close()


def test_a_witness_without_its_first_key_does_not_sign_by_the_second_alone(tmp_path: Path) -> None:
    WitnessFolder.create(tmp_path / "witness", "witness.example/a").close()
    (tmp_path / "witness" / KEY_FILE).unlink()
    with pytest.raises(HomeError, match=KEY_FILE):
        WitnessFolder(tmp_path / "witness")


@pytest.mark.parametrize("name", ["roster", "day-keys"])
def test_a_row_that_holds_no_document_hides_nothing_else_from_verify(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    documents_of(home)
    with closing(sqlite3.connect(home.path / "store.db")) as db, db:
        db.execute("UPDATE documents SET message = 'abc' WHERE name = ?", (name,))
    assert main(["--home", str(home.path), "verify"]) == 1
    said = capsys.readouterr()
    assert f"WRONG documents: the row of name {name}" in said.out
    assert said.err == ""
    with closing(open_store_of(home)) as store:
        demand_keys(home, store, now_us())
