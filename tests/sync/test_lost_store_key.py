"""If the key service loses a key, no other replaces it, and units keep what they have."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from receiver_twins import Joined, incident_kinds
from structlog.testing import capture_logs
from sync_twins import bare_home, checked, converse

from storage.times import DAY_US, now_us
from sync import messages
from sync.closed_delivery import Delivered
from sync.department.server.server import Department
from sync.department.store.tables import bad_records
from sync.department.units import documents
from sync.errors import LinkError
from sync.runner import _ended


@pytest.mark.parametrize("left", [None, b"", bytes(31)], ids=["gone", "emptied", "cut short"])
def test_a_day_that_has_content_gets_no_second_key(tmp_path: Path, left: bytes | None) -> None:
    """Units keep their reads meanwhile; a new key would hide that earlier ones cannot be read."""
    home = bare_home(tmp_path / "home")
    department = Department(home)
    unit = Joined(tmp_path / "unit", department, "Car 7")
    unit.add(1)
    converse(unit, department)
    department.close()
    (key,) = (home.keys / "store").glob("*.key")
    kept = key.rename(tmp_path / "kept")
    if left is not None:
        key.write_bytes(left)
    department = Department(home)  # restarted, without the key that it had in memory
    unit.add(1)
    with capture_logs() as said, pytest.raises(LinkError, match="cannot store now"):
        converse(unit, department)
    assert "the key of what was received today (store/" in said[0]["what"]
    assert ".key) is gone" in said[0]["what"]
    assert (key.read_bytes() if key.exists() else None) == left
    kept.replace(key)
    assert converse(unit, department).done
    unit.close()
    department.close()


def test_reads_under_a_day_key_that_is_gone_are_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Giving up after three tries would lose the reads of all units if the key service is restored."""
    department = Department(bare_home(tmp_path / "home"))
    unit = Joined(tmp_path / "unit", department, "Car 7")
    kept = (department.home.keys / "day").rename(tmp_path / "kept")
    (department.home.keys / "day").mkdir()
    unit.add(2)
    for _ in range(4):
        with capture_logs() as said, pytest.raises(LinkError, match="cannot store now"):
            converse(unit, department)
        assert "to which units seal, is gone" in said[-1]["what"]
    (department.home.keys / "day").rmdir()
    kept.rename(department.home.keys / "day")
    assert converse(unit, department).done
    assert checked(department.home).problems == []
    with department.store.read() as connection:
        assert connection.execute(sa.select(bad_records)).all() == []
    monkeypatch.setattr(documents, "DAY_KEY_DAYS", -400)  # as after its year, when a missing key is not lost
    late = Joined(tmp_path / "late", department, "Car 8")
    late.add(1)
    (department.home.keys / "day").rename(kept)
    before = late.ledger.status().incidents
    for _ in range(messages.MAX_TRIES):
        progress = converse(late, department)
        assert (progress.done, progress.bad, progress.unopenable) == (True, 0, 4)
        assert _ended(progress, Delivered()) == (
            "done",
            "the department has no key for 4 sealed parts: destroyed after its year, or lost",
        )
    assert converse(late, department).unopenable == 0
    assert late.ledger.status().incidents == before  # not reported as damage to this card
    assert incident_kinds(department) == ["bad-record"]  # the department knows what it never received
    late.close()
    unit.close()
    department.close()


def test_reads_under_a_lost_key_that_was_offered_before_the_last_ones_are_not_given_up(
    tmp_path: Path,
) -> None:
    """Units get new keys about every hundred days, and what waits on a unit may be older."""
    department = Department(bare_home(tmp_path / "home"))
    unit = Joined(tmp_path / "unit", department, "Car 7")
    unit.add(1)
    later = now_us() + 150 * DAY_US
    offer = (department.home, department.store, department.keys)
    with department.store.read() as connection:
        before = documents.offered_day_keys(connection, later)
    assert documents.refresh(*offer, later) == ["day-keys"]
    with department.store.read() as connection:
        offered = documents.offered_day_keys(connection, later)
        assert len(documents.offered_day_keys(connection, later + 370 * DAY_US)) == 0
    assert set(before) < set(offered)
    kept = (department.home.keys / "day").rename(tmp_path / "kept")
    (department.home.keys / "day").mkdir()
    for _ in range(messages.MAX_TRIES + 1):
        with pytest.raises(LinkError, match="cannot store now"):
            converse(unit, department)
    assert len(department.receiver.lost_keys()) == 1
    with capture_logs() as said:  # no others are offered in their place on any later day
        assert documents.refresh(*offer, later + 150 * DAY_US) == []
    assert [(one["event"], one["cure"][:22]) for one in said] == [
        ("day_keys_not_offered", "restore its folder day")
    ]
    shutil.copytree(kept, department.home.keys / "day", dirs_exist_ok=True)
    assert converse(unit, department).done
    assert documents.refresh(*offer, later + 150 * DAY_US) == ["day-keys"]
    assert checked(department.home).problems == []
    unit.close()
    department.close()
