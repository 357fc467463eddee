"""A department whose access log is gone is not a new one: any trace of its desk says so, and no command goes
through without a person."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sync_twins import bare_home

from storage import codec
from storage.cosigners import CosignerKey
from storage.errors import StorageError
from storage.roster import Roster, RosterPerson
from storage.times import now_us
from sync import root_file
from sync.department.cli import main
from sync.department.content.opened_list import OpenedList
from sync.department.desk.desk import Desk
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.journal.witness_server import WitnessFolder
from sync.department.server.founding import OFFICES
from sync.department.server.open_desk import first_administrator, has_desk, open_desk
from sync.department.store.database import open_store_of
from sync.department.units import documents
from sync.errors import HomeError
from sync.root_file import NamedKey, Root, RootWitness, describe

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


def with_root(change: Callable[[Root], Root]) -> Callable[[DepartmentHome], None]:
    def leave(home: DepartmentHome) -> None:
        root = change(describe(home.root_file.read_bytes())[0])
        keys = [load_ed25519(home.path / "root-keys" / f"{name}.key") for name in OFFICES]
        home.root_file.write_bytes(root_file.assemble(root, [root_file.sign(root, key) for key in keys]))

    return leave


def witnessed(root: Root) -> Root:
    named = RootWitness(keys=(WITNESS,), url="https://witness.example")
    return replace(root, version=2, witnesses=(named,), quorum=1)


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


def a_witness_key(folder: Path) -> str:
    made = WitnessFolder.create(folder, "witness.example/a")
    try:
        return made.keys[0].text()
    finally:
        made.close()
