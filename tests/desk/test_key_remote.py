"""The key service on a machine of its own: the desk works through it, and root here gets nothing from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from desk_server import serving
from desk_twins import DAY_US, GROUND, Department

from sync.department.calls_inquiry import Answer, RunForm
from sync.department.front import Front
from sync.department.key_remote import CALLS, Address, RemoteKeyService, key_app, remote
from sync.department.key_service import LocalKeyService
from sync.department.refusals import DeskRefusal
from sync.errors import KeyServiceError

TOKEN = "0" * 64


@pytest.fixture
def elsewhere(department: Department) -> Iterator[tuple[RemoteKeyService, Front, str]]:
    """(the receiver's client, a desk through the remote door, the service's address)."""
    keys = LocalKeyService(department.home.keys)
    app = key_app(keys, department.home.root_file.read_bytes(), TOKEN, department.clock)
    with serving(app) as client:
        url = str(client.base_url).rstrip("/")
        service, door = remote(Address(url=url, token=TOKEN), client)
        yield service, replace(department.front, door=door), url
    keys.close()


def test_a_search_runs_through_the_key_service_elsewhere(
    department: Department, elsewhere: tuple[RemoteKeyService, Front, str]
) -> None:
    department.front = elsewhere[1]
    form = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    answer = department.call("inquiry/run", department.logon("comm1"), form)
    assert isinstance(answer, Answer)
    assert answer.count == 3


def test_root_on_the_departments_server_gets_no_content_from_it(
    department: Department, elsewhere: tuple[RemoteKeyService, Front, str]
) -> None:
    service, front, url = elsewhere
    with pytest.raises(KeyServiceError):
        service.open_stored("because", 1, bytes(32), [])
    with pytest.raises(KeyServiceError):
        service.tokens("because", "8XYZ123", [1])
    assert {"tokens", "match", "open"} <= CALLS
    assert not {"open_stored", "key", "export"} & CALLS
    cover = department.desk.covered(0)
    with pytest.raises(DeskRefusal):
        front.door.tokens(cover, department.plate("8XYZ123"), [department.clock.us // DAY_US])
    stranger, _ = remote(Address(url=url, token="1" * 64))
    with pytest.raises(KeyServiceError, match="not admitted"):
        stranger.has_store_key(1)
    stranger.close()


def test_what_the_receiver_needs_works_over_there(
    department: Department, elsewhere: tuple[RemoteKeyService, Front, str]
) -> None:
    service = elsewhere[0]
    keys = service.issue_day_keys(20_800, 3)
    local = LocalKeyService(department.home.keys)
    assert keys == local.issue_day_keys(20_800, 3)
    day = (department.clock.us - DAY_US) // DAY_US
    assert service.has_store_key(day) == local.has_store_key(day)
    service.destroy_store_key(day)
    assert not local.has_store_key(day)
    assert service.destroy_day_keys_before(20_801) >= 1
    local.close()
