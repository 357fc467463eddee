"""The effect of losing each file of an enrolled unit's home, file by file.

A new kind of file fails the first test until its row is added: often the first reader of a file makes it
again, so a lost key or log would look as if it had never existed.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest
from custody_twins import make_read
from list_twins import VERSIONS, push
from sync_twins import Unit, bare_home, files_of, running

from firmware.alerts.opened_lists import open_lists
from firmware.cli import main
from firmware.custody.opening import open_ledger, open_or_roll_over, sync_folder
from firmware.run.app import _keep_to_owner
from firmware.run.prepared_home import prepare_home, take_home
from storage.errors import ExplainedError, NotOwnerError
from sync.department.server.server import Department
from sync.enrollment import Trusted, check_no_other, open_link
from sync.errors import NotEnrolledError
from sync.event_log import event_log


@dataclass(frozen=True, slots=True)
class Decided:
    """The effect of a missing file: the status of `reader verify`, what stops the unit or its link, or why it
    gets a new log. `why`: the reason if none of these names the loss.
    """

    verify: int = 0
    stops: str = ""
    new_log: str = ""
    why: str = ""


DECIDED: dict[str, Decided] = {
    "config.toml": Decided(stops="config.toml: no such file"),
    "hotlists/*.list": Decided(why="the alarm list_expired, until a sync brings it again"),
    "reserve": Decided(why="made again while there is room"),
    "store/blobs/*/*": Decided(verify=1, why="the start reads no image; verify and the department name it"),
    "store/ledger.sqlite3": Decided(verify=1, new_log="ledger.sqlite3: is gone"),
    "store/lock": Decided(why="held by the writer; holds nothing"),
    "store/log.pub": Decided(verify=1, why="the start makes it again, by the log's first record"),
    "store/slot": Decided(verify=1, new_log="slot"),
    "store/slot.uri": Decided(verify=1, why="the start makes it again, by the slot that names this log"),
    "sync/inbox/*": Decided(why="in the log already, or the next sync brings it again"),
    "sync/member.cbor": Decided(stops="member.cbor: is gone, and this unit was enrolled"),
    "sync/status.json": Decided(why="nothing depends on it"),
    "sync/tls.key": Decided(stops="the certificate or its key cannot be read"),
    "sync/tls.pem": Decided(stops="the certificate or its key cannot be read"),
    "sync/unit.key": Decided(stops="unit.key: the unit's key is gone"),
}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a unit that took a list, delivered a read, and has one more."""
    folder = tmp_path_factory.mktemp("delivered")
    office, home = bare_home(folder / "department"), folder / "unit"
    department = Department(office)
    push(department, VERSIONS[0])
    department.close()
    prepare_home(home)
    with running(office) as process:
        assert main(["--home", str(home), "enroll", process.code("Car 7")]) == 0
        store_read(home)
        assert main(["--home", str(home), "sync", "now"]) == 0
    store_read(home)
    return home


def store_read(home: Path) -> None:
    with open_ledger(home) as ledger:
        read = make_read(ledger.store.time.now().us, "7XKR219", demo=False)
        ledger.append_read(read, patch=os.urandom(2000), overview=os.urandom(30_000), hit=False)


@pytest.fixture
def home(delivered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(delivered, tmp_path / "home"))


def start(home: Path) -> list[str]:
    """Start as `reader run` does, up to its link and key. Returns why it has a new log, if it has one."""
    reasons: list[str] = []
    take_home(home)
    open_or_roll_over(home, on_new_log=reasons.append).close()
    folder = sync_folder(home)
    open_link(folder, folder.member(), passed_us=0).close()
    folder.unit_key()
    return reasons


def test_of_every_file_of_a_unit_it_is_decided_what_its_loss_does(delivered: Path) -> None:
    there = files_of(delivered)
    assert [name for name in there if not any(fnmatch(name, pattern) for pattern in DECIDED)] == []
    assert [pattern for pattern in DECIDED if not any(fnmatch(name, pattern) for name in there)] == []


def test_a_unit_that_lost_nothing_starts_in_its_log(home: Path) -> None:
    assert start(home) == []


@pytest.mark.parametrize("pattern", DECIDED)
def test_a_gone_file_of_a_unit_has_the_result_that_was_decided_for_it(home: Path, pattern: str) -> None:
    decided = DECIDED[pattern]
    gone = [name for name in files_of(home) if fnmatch(name, pattern)]
    for name in gone:
        for end in ("", "-wal", "-shm"):
            (home / f"{name}{end}").unlink(missing_ok=True)
    assert main(["--home", str(home), "verify", str(home)]) == decided.verify
    if not decided.stops:
        assert decided.new_log in " ".join(start(home)) if decided.new_log else start(home) == []
        return
    with pytest.raises(ExplainedError) as refusal:
        start(home)
    assert decided.stops in str(refusal.value)
    assert "(" in str(refusal.value) or "restore" in str(refusal.value)  # what to do
    assert [name for name in files_of(home) if name in gone] == []  # nothing replaced it


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        (None, None), (b"", b""), (b"fil", b"log"), (b"file:slo", None), (b"tpm:0x15", "another's"),
        (b"\xff", b"\xff"), (b"nothing", None),
    ],
)  # fmt: skip
def test_the_log_key_and_the_slots_name_are_made_again_where_they_are_gone_or_cut(
    home: Path, uri: bytes | None, key: bytes | str | None, tmp_path: Path
) -> None:
    """The key is in the log's first record, and the slot names its log by that key."""
    store = home / "store"
    before = {name: (store / name).read_bytes() for name in ("log.pub", "slot.uri")}
    if isinstance(key, str):
        prepare_home(tmp_path / "other")
        key = (tmp_path / "other" / "store" / "log.pub").read_bytes()
    for name, data in (("log.pub", key), ("slot.uri", uri)):
        (store / name).unlink()
        if data is not None:
            (store / name).write_bytes(data)
    assert start(home) == []
    assert {name: (store / name).read_bytes() for name in before} == before


def test_the_slot_of_another_log_is_not_taken_where_its_name_is_gone(home: Path, tmp_path: Path) -> None:
    """Otherwise a new log would begin in it."""
    prepare_home(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "store" / "slot", home / "store" / "slot")
    (home / "store" / "slot.uri").unlink()
    with pytest.raises(ExplainedError, match=r"slot\.uri: cannot be read"):
        start(home)


def test_a_unit_takes_no_other_units_key_for_its_own(home: Path) -> None:
    other = sync_folder(prepare(home.with_name("other")))
    other.make()
    other.unit_key()
    shutil.copyfile(other.path / "unit.key", home / "sync" / "unit.key")
    with pytest.raises(ExplainedError, match=r"unit\.key: is another unit's key"):
        sync_folder(home).unit_key()


def prepare(home: Path) -> Path:
    prepare_home(home)
    return home


def test_a_unit_without_its_key_delivers_until_its_certificate_ends(tmp_path: Path) -> None:
    office = bare_home(tmp_path / "department", certificate_days=7)  # so each sync would renew it
    unit = Unit(tmp_path / "unit")
    with running(office) as process:
        unit.enroll(process.code("Car 7"))
        (unit.folder.path / "unit.key").unlink()
        unit.add(2)
        assert unit.attempt().outcome == "done"
    assert not (unit.folder.path / "unit.key").exists()
    unit.close()


def test_keys_that_a_copy_by_hand_left_open_to_others_are_closed_and_named(home: Path) -> None:
    for name in ("store/slot", "sync/unit.key"):
        (home / name).chmod(0o664)
    stranger = home / "7ABC123_20261129.jpg"
    stranger.touch()
    stranger.chmod(0o644)
    said = io.StringIO()
    for _ in range(2):
        _keep_to_owner(home, event_log(said))
    assert [(home / name).stat().st_mode & 0o777 for name in ("store/slot", "sync/unit.key")] == [0o600] * 2
    assert said.getvalue().count("files_were_open_to_others") == 2
    assert "jpg" not in said.getvalue()
    assert stranger.stat().st_mode & 0o777 == 0o644  # not the unit's


def test_a_folder_that_its_user_may_not_list_ends_no_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    said = io.StringIO()
    _keep_to_owner(home, event_log(said))
    assert said.getvalue() == ""


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("store/ledger.sqlite3", os.W_OK),
        ("store/ledger.sqlite3-wal", os.W_OK),
        ("store/slot", os.R_OK),
        ("sync/member.cbor", os.R_OK),
        ("sync/unit.key", os.R_OK),
    ],
)
def test_a_file_that_its_user_may_not_read_is_not_damage_and_costs_no_log(
    home: Path, name: str, lacks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may leave it so after a restore. Once, the unit then began a new log and raised an incident."""
    (home / name).touch()
    monkeypatch.setattr(os, "access", lambda path, mode: path != home / name or not mode & lacks)
    why = f"{Path(name).name}: may not be read( and written)? by this user .sudo chown --reference={home} "
    with pytest.raises(ExplainedError, match=why):
        start(home)


@pytest.mark.thorough_rows(every=4)
@pytest.mark.parametrize(
    "name",
    ["config.toml", "hotlists/doj.list", "store/ledger.sqlite3", "store/log.pub",
     "store/slot.uri", "sync/inbox/hot-list_doj.cbor", "sync/member.cbor", "sync/status.json", "sync/tls.key",
     "sync/tls.pem", "sync/unit.key"],
)  # fmt: skip
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_not_a_file_keeps_no_start_waiting_and_begins_no_log(
    home: Path, name: str, make: Callable[[Path], None]
) -> None:
    (home / name).unlink()
    make(home / name)
    with contextlib.suppress(ExplainedError):
        assert start(home) == []
    with open_ledger(home) if name.startswith(("hot", "sync")) else contextlib.nullcontext() as ledger:
        if ledger is not None:
            open_lists(home, ledger, sync_folder(home)).close()


def test_a_link_that_leads_nowhere_in_place_of_the_slot_begins_no_log(home: Path) -> None:
    """For example, its medium is not mounted, and the keys there may be intact."""
    (home / "store" / "slot").unlink()
    (home / "store" / "slot").symlink_to("/nonexistent/slot")
    with pytest.raises(ExplainedError, match="slot: is not a plain file"):
        start(home)


def test_a_damaged_tls_key_is_removed_and_a_unit_key_restored(home: Path) -> None:
    folder = sync_folder(home)
    for name, key, cure in (
        ("tls.key", folder.tls_private, "remove it and enroll again"),
        ("unit.key", folder.unit_key, "restore it from its backup"),
    ):
        (home / "sync" / name).write_bytes(b"no key")
        with pytest.raises(NotEnrolledError, match=f"{name}: cannot be read.*{cure}"):
            key()


def test_another_department_is_refused_where_the_membership_may_not_be_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "member.cbor")
    with pytest.raises(NotOwnerError, match=r"member\.cbor: may not be read by this user .sudo chown"):
        check_no_other(sync_folder(home), Trusted(department=b"", command=b"", authority=b""))
