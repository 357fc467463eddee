"""Several consoles share a unit: what one of them does to it, and what the reader does meanwhile."""

import re
import shutil
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from firmware.console import field_unit
from firmware.console.consoles import consoles
from firmware.console.errors import UnitRefusedError
from firmware.console.factory_reset import MARK
from firmware.console.field_unit import FieldUnit, Parts
from firmware.console.plate_spots import Spots
from firmware.console.service import pump
from firmware.custody.opening import open_ledger
from firmware.frames.frame_tap import FrameTap
from firmware.health.report import HealthWatch
from firmware.run.prepared_home import prepare_home
from hw.clock import SetClock
from hw.errors import CameraStalledError, PartFailedError
from hw.machine import RememberedMachine
from hw.serial_port import loopback_pair
from hw.vitals import ScriptedBoard
from storage.audit_records import MaintenanceLine
from storage.ledger import Ledger
from storage.read_records import Read
from storage.record_base import ClockState
from sync.membership import Member, SyncFolder
from tests.tools.rehearsal import Hands

NOW_US = 1_795_000_000_000_000


@dataclass
class Place:
    path: Path
    clock: SetClock
    ledger: Ledger
    machine: RememberedMachine
    unit: FieldUnit

    def read(self) -> None:
        """A vehicle passes."""
        read = Read(
            text="7ABC123", confidence=0.9, first_us=NOW_US, last_us=NOW_US, time_error_us=1,
            clock_state=ClockState.DISCIPLINED, camera="test", plate_box=(0.0, 0.0, 1.0, 1.0),
        )  # fmt: skip
        self.ledger.append_read(read, patch=b"", overview=b"")

    def enroll(self, command_key: ed25519.Ed25519PrivateKey) -> None:
        """Write the files of an enrollment."""
        folder = SyncFolder.of(self.path)
        folder.make()
        key = command_key.public_key().public_bytes_raw()
        folder.save_member(
            Member(
                department="d", unit_id="unit-7", name="unit-7", unit_address="127.0.0.1:1",
                front_address="x:1", department_key=key, command_key=key, authority=b"", root=b"",
            )
        )  # fmt: skip
        self.ledger.store.enrolled = True


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    path, clock, machine = tmp_path / "home", SetClock(NOW_US), RememberedMachine()
    prepare_home(path)
    ledger = open_ledger(path, clock=clock)

    def newest() -> Any:
        raise CameraStalledError("no frame")

    unit = FieldUnit(
        Parts(
            home=path, ledger=ledger, clock=clock, board=ScriptedBoard(), machine=machine,
            health=HealthWatch(board=ScriptedBoard(), now=clock.now), newest=newest,
            find=lambda _frame: Spots(plates=(), blots=()), sync_now=lambda: "done",
            join=lambda _code: "joined", retune=lambda _settings: "",
        )
    )  # fmt: skip
    yield Place(path, clock, ledger, machine, unit)
    ledger.store.close()


def test_a_reset_takes_no_read_with_it_that_came_after_the_look(place: Place) -> None:
    agreed = place.unit.reset_obstacles()
    place.read()
    before = place.ledger.store.slot.read()
    with pytest.raises(UnitRefusedError, match="a new read arrived"):
        list(place.unit.factory_reset(agreed))
    assert place.ledger.store.slot.read() == before
    list(place.unit.factory_reset(place.unit.reset_obstacles()))
    assert place.machine.asked == ["reboot"]


def test_a_receipt_between_look_and_reset_makes_no_room_for_a_new_read(place: Place) -> None:
    """Once, only the number of unreceipted reads was checked again."""
    place.read()
    agreed = place.unit.reset_obstacles()
    place.ledger.store.book.received.add(0, agreed.log_size - 1, NOW_US)
    place.read()
    assert place.unit.reset_obstacles().unacknowledged == agreed.unacknowledged == 1
    with pytest.raises(UnitRefusedError, match="a new read arrived"):
        list(place.unit.factory_reset(agreed))
    assert place.ledger.store.slot.read() is not None


def test_a_reset_comes_to_its_end_beside_a_reader_that_still_writes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place.path / "sync"
    folder.mkdir(exist_ok=True)
    (place.path / "health.json").write_text("{}")
    real, late = shutil.rmtree, ["one", "two"]

    def rmtree(path: Path, ignore_errors: bool = False) -> None:
        real(path, ignore_errors=ignore_errors)
        (place.path / "health.json").unlink(missing_ok=True)
        if Path(path) == folder and late:
            folder.mkdir()
            (folder / late.pop()).touch()
            if not ignore_errors:
                raise OSError(39, "Directory not empty")

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    steps = list(place.unit.factory_reset(place.unit.reset_obstacles()))
    assert steps[1:] == ["home cleared", "restarting as a new unit"]
    assert [path.name for path in place.path.iterdir()] == [MARK]  # until the new unit has its log
    assert place.machine.asked == ["reboot"]


def test_a_reset_ends_every_other_session(place: Place) -> None:
    assert place.unit.revoked() == frozenset()
    list(place.unit.factory_reset(place.unit.reset_obstacles()))
    with pytest.raises(UnitRefusedError, match="was reset"):
        place.unit.revoked()


def test_one_console_at_a_time_installs(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_unit, "MEDIA", (tmp_path,))
    first, second = tmp_path / "a", tmp_path / "b"
    first.touch()
    second.touch()
    one, two = place.unit.update(str(first)), place.unit.update(str(second))
    next(one)
    with pytest.raises(UnitRefusedError, match="another console is installing"):
        next(two)
    assert [next(one), next(one)] == [field_unit.KEEP_POWER, "installed"]
    cast("Generator[str]", one).close()
    assert list(place.unit.update(str(second)))[-1] == "installed"
    assert place.machine.asked == [f"update {first}", f"update {second}"]


def test_no_console_restarts_or_resets_a_unit_while_another_installs(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, a restart interrupted the installation, and a reset removed its bundle."""
    monkeypatch.setattr(field_unit, "MEDIA", (tmp_path,))
    bundle = tmp_path / "a"
    bundle.touch()
    before, installing = place.ledger.store.slot.read(), place.unit.update(str(bundle))
    next(installing)
    with pytest.raises(UnitRefusedError, match="another console is installing: wait"):
        place.unit.reboot()
    with pytest.raises(UnitRefusedError, match="another console is installing: wait"):
        list(place.unit.factory_reset(place.unit.reset_obstacles()))
    assert place.ledger.store.slot.read() == before
    assert list(installing)[-1] == "installed"
    place.unit.reboot()
    with pytest.raises(UnitRefusedError, match="the unit is restarting: install once"):
        list(place.unit.update(str(bundle)))
    assert place.machine.asked == [f"update {bundle}", "reboot"]


def test_an_update_at_work_is_known_to_a_reader_that_started_after_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, the reader that had asked for it knew it, and the next process cut it off without a question."""
    assert not place.unit.may_write_update()
    place.machine.installing = True
    assert place.unit.may_write_update()
    place.machine.installing = False
    assert not place.unit.may_write_update()

    def silent() -> bool:
        raise PartFailedError("busctl: Connection timed out")

    monkeypatch.setattr(place.machine, "installs_update", silent)
    assert place.unit.may_write_update()


def test_what_an_installation_left_that_was_killed_goes_with_the_next_start(place: Place) -> None:
    left = [place.path / "sync" / name for name in ("update.bundle", "update.bundle.new")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with consoles(
        place.path, place.ledger, clock=place.clock, tap=FrameTap(), retune=lambda _settings: "",
        health=HealthWatch(board=ScriptedBoard(), now=place.clock.now),
    ):  # fmt: skip
        assert not any(path.exists() for path in left)


@pytest.mark.parametrize("path", ["../../x", "media/usb/a", "/media/../etc/passwd", "/media/usb/none"])
def test_a_bundle_s_path_is_whole_and_names_a_file(place: Place, path: str) -> None:
    with pytest.raises(UnitRefusedError, match=re.escape(path)):
        list(place.unit.update(path))
    assert place.machine.asked == []


def test_two_consoles_lose_no_setting_of_each_other(place: Place) -> None:
    def turn(name: str) -> None:
        for value in range(1, 11):
            place.unit.set_camera(name, str(value))

    threads = [threading.Thread(target=turn, args=(name,)) for name in ("gain_max", "fps")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settings = place.unit.camera()
    assert (settings["gain_max"], settings["fps"]) == ("10.0", "10.0")


def test_a_prompt_lists_no_reads(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.read()

    def listed(_epoch: int) -> Any:
        raise AssertionError("a hundred thousand reads for one word of a prompt")

    monkeypatch.setattr(place.ledger.store, "sequences", listed)
    assert not place.unit.identity().empty


def test_a_reader_that_stops_closes_the_record_of_a_sync_that_waits(place: Place, office: Any) -> None:
    place.enroll(office.command_key)
    near, far = loopback_pair()
    hands = Hands(far)
    board = ScriptedBoard()
    tap = FrameTap()
    with consoles(
        place.path, place.ledger, clock=place.clock, tap=tap, retune=lambda _settings: "",
        health=HealthWatch(board=board, now=place.clock.now),
    ):  # fmt: skip
        pumping = threading.Thread(target=pump, args=(near, place.path), daemon=True)
        pumping.start()
        hands.wait_for("unit-7> ")
        now_us, _ = place.unit.time_us()
        times = {"issued_us": now_us - 1, "from_us": now_us - 1, "to_us": now_us + 86_400_000_000}
        hands.log_in(office.bundle(**times), office.holder)
        hands.wait_for("unit-7 t.okafor> ")
        hands.type("sync now")
        hands.wait_for("contacting the department")
    pumping.join(timeout=300)
    store = place.ledger.store
    records = [store.record(sequence) for sequence in range(store.log.frontier.size)]
    ends = [
        (one.line, one.result) for one in records if isinstance(one, MaintenanceLine) and one.phase == "end"
    ]
    # the waiting one is refused, or stopped if the console checks first
    assert ends[0] in {("sync now", "failed: UnitRefusedError"), ("sync now", "stopped")}
    assert ends[1:] == [("session", "stopped")]
