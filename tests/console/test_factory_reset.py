"""A factory reset that a power cut ended: done to its end by the next start, or as if it had never begun."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from firmware.console import factory_reset
from firmware.custody.opening import open_ledger
from firmware.run.app import prepare_home, take_home
from sync.membership import Member, SyncFolder

MEMBER = Member(
    department="d", unit_id="unit-7", name="car-12", unit_address="127.0.0.1:1", front_address="x:1",
    department_key=bytes(32), command_key=bytes(32), authority=b"", root=b"",
)  # fmt: skip


@pytest.mark.parametrize("enrolled", [False, True])
@pytest.mark.parametrize("chip", [False, True])
@pytest.mark.parametrize(
    "gone", [(), ("config.toml",), ("store/ledger.sqlite3", "store/slot.uri"), ("store",)]
)
def test_a_reset_that_a_power_cut_ended_is_done_to_its_end_by_the_next_start(
    tmp_path: Path, chip: bool, enrolled: bool, gone: tuple[str, ...]
) -> None:
    """Else a unit of a department continues as one in a new log, and one with a chip never starts again."""
    home, uri = tmp_path / "home", f"loopback:{tmp_path}/chip" if chip else "file:slot"
    prepare_home(home, slot_uri=uri)
    if enrolled:
        SyncFolder.of(home).make()
        SyncFolder.of(home).save_member(MEMBER)
    with open_ledger(home) as ledger:
        log = ledger.store.log_id
    with open_ledger(home) as ledger:
        factory_reset.begin(home, uri)
        factory_reset.destroy_keys(ledger.store)
        ledger.closed = True  # cut off: nothing is anchored
        ledger.store.close()
    for name in gone:  # what was cleared by then
        path = home / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    take_home(home)
    with open_ledger(home) as ledger:
        assert ledger.store.log_id != log
        assert ledger.store.slot.uri == uri
    assert not SyncFolder.of(home).is_member()
    assert {path.name for path in home.iterdir()} == {"config.toml", "store"}


@pytest.mark.parametrize("content", [b"file:slot", b"", b"\xff", b"x" * 5000])
def test_a_reset_that_was_cut_off_before_the_keys_went_has_destroyed_nothing(
    tmp_path: Path, content: bytes
) -> None:
    prepare_home(tmp_path)
    with open_ledger(tmp_path) as ledger:
        log = ledger.store.log_id
    (tmp_path / factory_reset.MARK).write_bytes(content)
    take_home(tmp_path)
    assert not (tmp_path / factory_reset.MARK).exists()
    with open_ledger(tmp_path) as ledger:
        assert ledger.store.log_id == log
