"""Files that a failing card does not return, or that root made unreadable: the rest is delivered."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest
from receiver_twins import Joined, incident_kinds
from structlog.testing import capture_logs
from sync_twins import converse

from storage import files
from storage.errors import LedgerError
from storage.ledger import Ledger
from sync.department.server.server import Department
from sync.handover import HandedRecord, open_handover
from sync.hot_lists.held import needs_snapshot


def image_of(ledger: Ledger, sequence: int, name: str) -> Path:
    store = ledger.store
    leaf = store.leaf(sequence)
    return store.blobs.path(leaf.epoch, leaf.elements[name].digest)


def shut(monkeypatch: pytest.MonkeyPatch, path: Path, number: int) -> None:
    """Make a file, or everything in a folder, fail to open."""
    real = files.open_evidence

    def refuse(wanted: Path, *, follow: bool = False) -> BinaryIO:
        if path in (wanted, wanted.parent):
            raise OSError(number, "no", str(wanted))
        return real(wanted, follow=follow)

    monkeypatch.setattr(files, "open_evidence", refuse)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_an_image_that_the_card_does_not_give_holds_up_no_other_record(
    unit: Joined, department: Department, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Otherwise each sync would end there, and no later read would ever arrive."""
    first, second, third = unit.add(3)
    path = image_of(unit.ledger, second, "overview")
    shut(monkeypatch, path, number)
    with pytest.raises(LedgerError, match="a sealed image cannot be read: no"):
        unit.outbox.stored(second, "overview")
    progress = converse(unit, department)
    assert (progress.done, progress.bad) == (True, 1)
    received = unit.ledger.store.book.received
    assert [received.covers(one, one) for one in (first, second, third)] == [True, False, True]
    assert converse(unit, department).bad == (number == errno.EIO)
    if number == errno.EACCES:
        monkeypatch.undo()  # repaired in time: requested again, and intact
    assert converse(unit, department).bad == (number == errno.EIO)
    assert unit.ledger.status().unreceived == (number == errno.EIO)
    assert ("bad-record" in incident_kinds(department)) == (number == errno.EIO)  # given up and reported
    assert converse(unit, department).bad == 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_what_root_left_shut_is_whole_at_the_department_whenever_it_is_repaired(
    unit: Joined, department: Department, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Once, it counted as a failing card and was given up after three syncs, repaired or not."""
    numbers = unit.add(3)
    with monkeypatch.context() as refusing:
        shut(refusing, image_of(unit.ledger, numbers[0], "overview").parent, number)
        with capture_logs() as said:
            bad = [converse(unit, department).bad for _ in range(5)]
        (later,) = unit.add(1) if number == errno.EPERM else (numbers[0],)
    assert bad[1:] == [0] * 4
    assert sum(one["event"] == "image_shut" for one in said) == 5  # one per conversation
    assert unit.ledger.status().unreceived == len({*numbers, later})
    assert converse(unit, department).bad == 0
    received = unit.ledger.store.book.received
    assert all(received.covers(one, one) for one in (*numbers, later))
    assert "bad-record" not in incident_kinds(department)


def test_a_closed_log_waits_for_an_image_that_root_left_shut(
    unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent as missing is given up there, repaired or not."""
    (only,) = unit.add(1)
    name = image_of(unit.ledger, only, "patch").relative_to(unit.home)
    folder = unit.close_log()
    with monkeypatch.context() as refusing:
        shut(refusing, folder / name, errno.EACCES)
        with open_handover(folder) as handover, pytest.raises(PermissionError):
            list(handover.records())
    with open_handover(folder) as handover:
        found = {one.sequence: one for one in handover.records() if isinstance(one, HandedRecord)}
    assert found[only].lost == ()


def test_of_a_closed_log_an_image_that_the_card_does_not_give_is_lost_alone(
    unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = unit.add(2)
    name = image_of(unit.ledger, second, "patch").relative_to(unit.home)
    folder = unit.close_log()
    shut(monkeypatch, folder / name, errno.EIO)
    with open_handover(folder) as handover:
        found = {one.sequence: one for one in handover.records() if isinstance(one, HandedRecord)}
    assert (found[first].lost, found[second].lost) == ((), ("patch",))
    assert [one for one, _ in found[second].elements] == ["overview", "place", "text"]


def test_a_document_that_cannot_be_kept_ends_no_conversation_and_comes_again(
    unit: Joined, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    from list_twins import VERSIONS, push

    push(department, VERSIONS[0])
    real = files.replace

    def refuse(path: Path, data: bytes, *, lasts: bool = True) -> None:
        if path.parent == unit.folder.inbox:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        real(path, data, lasts=lasts)

    monkeypatch.setattr(files, "replace", refuse)
    unit.add(1)
    with capture_logs() as said:
        assert converse(unit, department).done
    assert {(one["event"], one["why"]) for one in said if one["log_level"] == "warning"} == {
        ("document_not_kept", "Permission denied")
    }
    assert unit.ledger.status().unreceived == 0
    monkeypatch.undo()
    assert "hot-list/doj" in converse(unit, department).documents


def test_a_shut_folder_of_lists_asks_for_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)
    assert needs_snapshot(tmp_path, "doj")
