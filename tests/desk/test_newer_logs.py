"""What a newer version wrote is refused with a cure, and none of it is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk_root import problems
from desk_twins import GROUND, Department

from storage.checkpoint import NoteKey
from sync.department.content import followed_log
from sync.department.content.followed_log import DATABASE, FollowedLog
from sync.department.desk import snapshot
from sync.department.desk.desk import Desk
from sync.department.desk.inquiry.forms import RunForm
from sync.department.journal import entries
from sync.department.journal.access_log import origin_of
from sync.department.journal.entries import NEWEST_FORM, NOTES, Logon
from sync.department.journal.publisher import WitnessLinks
from sync.errors import NewerError

OLDER = "the access log is of form 12, and this version knows form 7"


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Lets a test switch to the previous version of the programs."""
    with monkeypatch.context() as before:
        yield before


def reopened(department: Department) -> None:
    links = WitnessLinks(lambda _one: department.witness)
    Desk(department.home.path, department.home.log_key(), links, clock=department.clock).close()


@pytest.mark.parametrize("kept", [False, True])
def test_an_older_desk_does_not_open_a_log_of_a_newer_form(
    department: Department, older: pytest.MonkeyPatch, *, kept: bool
) -> None:
    if kept:
        snapshot.write(department.desk.log, department.desk.book)
    reopened(department)
    older.setattr(entries, "NEWEST_FORM", 7)
    with pytest.raises(NewerError, match=OLDER) as refused:
        reopened(department)
    assert "update" in refused.value.cure


def test_an_older_desk_does_not_leave_out_kinds_that_it_does_not_know(
    department: Department, older: pytest.MonkeyPatch
) -> None:
    department.logon("comm1")
    older.delitem(NOTES, Logon.KIND)
    with pytest.raises(NewerError, match=f"does not know: {Logon.KIND} "):
        reopened(department)


def test_an_older_verify_judges_nothing_by_rules_that_it_does_not_know(
    department: Department, older: pytest.MonkeyPatch
) -> None:
    assert problems(department) == ()
    older.setattr(entries, "NEWEST_FORM", 7)
    with pytest.raises(NewerError, match=OLDER):
        problems(department)


def follower(department: Department, folder: Path) -> FollowedLog:
    log = department.desk.log
    return FollowedLog(folder, NoteKey(origin_of(log.log_id), log.public), log.log_id)


def test_an_older_key_service_follows_no_log_of_a_newer_form_and_keeps_what_it_followed(
    department: Department, older: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older.setattr(followed_log, "SNAPSHOT_EVERY", 1)
    token, form = department.logon("comm1"), RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    department.call("inquiry/run", token, form)
    log, folder = department.desk.log, next(department.home.path.rglob(DATABASE)).parent
    with contextlib.closing(follower(department, folder)) as service:
        size = service.head()[0]
    older.setattr(entries, "NEWEST_FORM", 7)
    for place in (folder, tmp_path / "another"):
        with contextlib.closing(follower(department, place)) as service, pytest.raises(NewerError) as refused:
            service.follow(log.part(0, log.size()), lambda _first, _last: {})
        assert OLDER in refused.value.what
    older.setattr(entries, "NEWEST_FORM", NEWEST_FORM)
    with contextlib.closing(follower(department, folder)) as service:
        assert service.head()[0] == size > 0
