"""A file slot, or the line that names the slot, is missing, truncated or set aside with its ledger."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_twins import SteppedTime, add_reads
from receiver_twins import Joined
from sync_twins import bare_home

from firmware.commands.verify import check_home
from firmware.custody import opening
from firmware.custody.opening import create_ledger, open_ledger, replace_ledger
from firmware.custody.opening import open_or_roll_over as open_unit
from firmware.run.prepared_home import prepare_home
from hw.errors import SlotFailedError
from hw.secure_slot import FileSlot, LoopbackSlot
from storage.errors import LedgerError, SlotError
from storage.home import Home
from storage.ledger import Ledger
from sync.department.server.server import Department
from sync.handover import closed_logs


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    made = Department(bare_home(tmp_path / "department"))
    yield made
    made.close()


@pytest.mark.parametrize("name", ["slot", "other"])
def test_a_ledger_that_was_set_aside_keeps_its_evidence_and_no_key(tmp_path: Path, name: str) -> None:
    """Once, its key stayed beside it in a file that no purge reached, so its content still opened."""
    home = tmp_path / "home"
    create_ledger(home, slot_uri=f"file:{name}").close()
    key = (home / "store" / name).read_bytes()
    (home / "store" / f"{name}.new").write_bytes(key[:50])  # a write that a power cut interrupted
    damage = home / "store" / "ledger.sqlite3"
    damage.write_bytes(b"x" + damage.read_bytes()[1:])
    aside = replace_ledger(home)
    assert {"ledger.sqlite3", "log.pub", "slot.uri"} <= {one.name for one in (aside / "store").iterdir()}
    assert not any(key[12:44] in one.read_bytes() for one in home.rglob("*") if one.is_file())
    report = check_home(aside, None)
    assert not [one for one in report.findings if one.where.startswith("slot")]
    assert "its slot serves another or is destroyed" in " ".join(report.notes)
    elsewhere = shutil.copytree(aside, home.parent / aside.name)  # any folder may have that name
    assert [one for one in check_home(elsewhere, None).findings if one.where.startswith("slot")]
    with open_ledger(home) as ledger:
        assert ledger.store.slot.uri == f"file:{name}"
    (aside / "store" / name).write_bytes(key)  # as an earlier version left it
    prepare_home(home)
    assert not (aside / "store" / name).exists()
    open_ledger(home).close()


def test_a_file_slot_of_another_name_is_found_where_no_line_names_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    create_ledger(home, slot_uri="file:other").close()
    for line in (None, b"", b"file:oth", b"file:gone"):
        path = Home(home).slot_uri
        path.unlink() if line is None else path.write_bytes(line)
        (home / "store" / "other.new").write_bytes((home / "store" / "other").read_bytes())
        with open_ledger(home) as ledger:
            assert ledger.store.slot.uri == "file:other"
        assert path.read_text() == "file:other\n"


def test_another_index_of_the_chip_is_found_where_no_line_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a card is replaced. Once, a person had to list the chip's indexes and write the line."""
    home, other = tmp_path / "home", LoopbackSlot(tmp_path / "other unit's")
    create_ledger(tmp_path / "other", slot_uri=other.uri).close()
    create_ledger(home, slot_uri=f"loopback:{tmp_path / 'chip'}").close()
    key = (tmp_path / "chip").read_bytes()
    FileSlot(home / "store").write(key)  # from before: with it, the key in the chip would stay forever
    in_chip = ["tpm:0x1500ab1", other.uri, f"loopback:{tmp_path / 'chip'}"]
    monkeypatch.setattr(opening, "slots_of_chip", lambda: in_chip)
    for line in (None, b"", b"tpm:0x1500ab"):
        path = Home(home).slot_uri
        path.unlink() if line is None else path.write_bytes(line)
        with open_ledger(home) as ledger:
            assert ledger.store.slot.uri == in_chip[-1]
        assert path.read_text() == in_chip[-1] + "\n"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"file:", b"tp"], ids=ascii)
def test_a_home_that_does_not_name_its_slot_any_more_says_what_to_write(
    tmp_path: Path, content: bytes | None
) -> None:
    """If it is not one of the usual slots, which the start checks itself."""
    create_ledger(tmp_path / "home", slot_uri=f"loopback:{tmp_path / 'chip'}").close()
    path = Home(tmp_path / "home").slot_uri
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"slot\.uri.*file:slot, or tpm:INDEX"):
        open_ledger(tmp_path / "home")


def test_a_look_at_a_clock_is_not_needed_to_replace_a_ledger(tmp_path: Path) -> None:
    time = SteppedTime()
    slot = LoopbackSlot(tmp_path / "chip")
    ledger = Ledger.create(tmp_path / "home", slot, time, boot=time.boot)
    add_reads(ledger, time, 1)
    ledger.close()
    (tmp_path / "home" / "store" / "ledger.sqlite3").write_bytes(b"")
    replace_ledger(tmp_path / "home")
    with open_ledger(tmp_path / "home") as again:
        assert again.store.slot.uri == slot.uri


@pytest.mark.parametrize("stale", [True, False])
def test_a_ledger_is_replaced_in_its_chip_where_the_line_that_names_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    """Once, a new file replaced it, and the chip, or an earlier file, kept the old log's key forever."""
    home, slot = tmp_path / "home", LoopbackSlot(tmp_path / "chip")
    usual = tuple(slot.uri if uri.startswith("tpm:") else uri for uri in opening.USUAL_SLOTS)
    monkeypatch.setattr(opening, "USUAL_SLOTS", usual)
    create_ledger(home, slot_uri=slot.uri).close()
    key = slot.read()
    assert key is not None
    if stale:
        FileSlot(home / "store").write(key)
    (home / "store" / "slot.uri").unlink()
    (home / "store" / "ledger.sqlite3").write_bytes(b"no database any more")
    replace_ledger(home)
    assert slot.read() != key
    with open_ledger(home) as again:
        assert again.store.slot.uri == slot.uri


def _unreadable(path: Path) -> None:
    """Make a file fail to read, as a card does with EIO."""
    path.unlink()
    path.mkdir()


def test_a_file_slot_that_cannot_be_read_is_a_damaged_card(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a unit without a chip would never start again, although one with a deleted slot does."""
    monkeypatch.setattr("firmware.custody.opening.READ_AGAIN_S", 0.0)
    monkeypatch.setattr("sync_twins.LoopbackSlot", lambda path: FileSlot(path.parent / "home" / "store"))
    unit = Joined(tmp_path / "unit", department, "unit")
    unit.add(1)
    unit.close()
    _unreadable(unit.home / "store" / "slot")
    with pytest.raises(SlotError, match="cannot be read"):
        open_ledger(unit.home)
    told: list[str] = []
    with open_unit(unit.home, on_new_log=told.append) as ledger:
        assert ledger.status().enrolled
    assert len(told) == 1
    assert [one.reads for one in closed_logs(unit.folder)] == [1]


def test_a_unit_of_no_department_sets_a_file_slot_that_cannot_be_read_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.custody.opening.READ_AGAIN_S", 0.0)
    prepare_home(tmp_path)
    _unreadable(tmp_path / "store" / "slot")
    aside = replace_ledger(tmp_path)
    assert (aside / "store" / "ledger.sqlite3").exists()
    open_ledger(tmp_path).close()


def test_a_file_slot_that_is_read_at_the_second_try_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.custody.opening.READ_AGAIN_S", 0.0)
    prepare_home(tmp_path)
    real = FileSlot.read
    failed: list[FileSlot] = []

    def read(slot: FileSlot) -> bytes | None:
        if not failed:
            failed.append(slot)
            raise SlotFailedError("Input/output error")
        return real(slot)

    monkeypatch.setattr(FileSlot, "read", read)
    open_ledger(tmp_path).close()
    assert failed
