"""A key service on another machine, here behind a real HTTP server, and a desk that works through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from desk_server import serving
from desk_twins import Department

from sync.department.content.key_remote import Address, RemoteKeyService, remote
from sync.department.content.key_server import key_app
from sync.department.content.key_service import LocalKeyService
from sync.department.content.opened_list import OpenedList
from sync.department.content.proven_door import ProvenDoor
from sync.department.desk.context import DeskContext

TOKEN = "0" * 64


@pytest.fixture
def elsewhere(
    department: Department, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RemoteKeyService, DeskContext, str]]:
    """(the receiver's client, a desk through the remote door, the service's address)."""
    keys = LocalKeyService(department.home.keys, department.clock)
    opened = OpenedList(tmp_path_factory.mktemp("elsewhere"))
    app = key_app(keys, opened, department.home.root_file.read_bytes(), TOKEN, department.clock)
    with serving(app) as client:
        url = str(client.base_url).rstrip("/")
        service, door = remote(Address(url=url, token=TOKEN), client)
        log = department.desk.log
        proven = ProvenDoor(lambda: door, log)
        yield service, replace(department.front, door=proven), url
    keys.close()
    opened.close()
