"""Starts of a unit that cannot read one of its files or folders, or finds something else in its place.

In each row, the unit runs and its health names the part, or the start ends with one line that has the path
and a cure. If its ledger opens, what is due is purged.
"""

from __future__ import annotations

import ctypes
import io
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from field_home import enroll
from reader_process import CLIP
from structlog.testing import capture_logs

from detector.errors import NetAnswerError
from firmware.cli import explain, main
from firmware.custody import home_parts
from firmware.custody.home_parts import ShutParts, open_to_owner, shut_parts
from firmware.custody.opening import create_ledger, open_or_roll_over
from firmware.frames.failed_eyes import FailedEyes
from firmware.run import app, prepared_home
from firmware.run.beside import Beside
from firmware.run.failed_start import ENDS, purging_anyway
from firmware.run.one_run import OneRun
from firmware.run.prepared_home import prepare_home, take_home
from firmware.run.run_result import RunOptions, RunResult
from storage import files
from storage.errors import HomeLockedError, NoHomeError, NotOwnerError
from storage.home import Home, HomeLock, renew_lock
from storage.ledger import Ledger
from sync.command_frame import Common
from sync.errors import NotEnrolledError
from sync.event_log import event_log
from sync.health import Alarm
from sync.membership import SyncFolder

FULL = os.environ.get("ALPR_FAULTS") == "full"
RUNS, ENDS_FOR_LEDGER, ENDS_PURGED = "runs", "ends, as its ledger does not open", "ends, purged"
MENDED = "runs, and has made it again"
FOLDERS = {
    "store": ENDS_FOR_LEDGER, "store/blobs": RUNS, "store/blobs/00000002": RUNS, "store/strays": RUNS,
    "sync": RUNS, "sync/inbox": RUNS, "sync/old": RUNS, "hotlists": RUNS, "destroyed": RUNS,
}  # fmt: skip
FILES = {
    "config.toml": ENDS_PURGED, "habit.json": RUNS, "console.lockout": RUNS, "console.grants": RUNS,
    "store/ledger.sqlite3": ENDS_FOR_LEDGER, "store/lock": MENDED, "store/log.pub": RUNS,
    "store/slot": ENDS_FOR_LEDGER, "store/slot.uri": RUNS, "store/book.snapshot": RUNS,
    "sync/member.cbor": RUNS, "sync/unit.key": RUNS, "sync/tls.key": RUNS, "sync/tls.pem": RUNS,
    "sync/status.json": RUNS, "sync/configuration.taken": RUNS, "sync/configuration.trial": RUNS,
    "sync/inbox/policy.cbor": RUNS, "hotlists/doj.list": RUNS, "hotlists/cleared": RUNS,
}  # fmt: skip
NEW_LOG = {("store/slot", "a folder or a file"), ("store/slot", "a pipe")}  # its keys are lost


def make_folder_or_file(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(b"x")
    else:
        path.unlink()
        path.mkdir()


def make_link(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to("/nonexistent/medium")


def make_pipe(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.mkfifo(path)


TROUBLES: dict[str, Callable[[Path], None]] = {
    "shut": lambda path: path.chmod(0), "a folder or a file": make_folder_or_file, "a link": make_link,
    "a pipe": make_pipe,
}  # fmt: skip
ROWS = [(part, trouble) for part in (*FOLDERS, *FILES) for trouble in TROUBLES]
SAMPLE = [
    ("store", "shut"), ("store/blobs", "shut"), ("store/blobs", "a link"), ("store/blobs/00000002", "shut"),
    ("sync", "shut"), ("hotlists", "shut"), ("config.toml", "shut"), ("config.toml", "a pipe"),
    ("store/lock", "a folder or a file"), ("store/lock", "shut"), ("store/log.pub", "shut"),
    ("store/log.pub", "a pipe"), ("store/slot.uri", "shut"), ("store/slot.uri", "a link"),
    ("sync/member.cbor", "shut"), ("sync/inbox", "a link"), ("habit.json", "a pipe"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an enrolled unit with everything that a unit makes, and reads from an earlier run."""
    home = tmp_path_factory.mktemp("made") / "home"
    prepare_home(home)
    enroll(home)
    open_or_roll_over(home, on_new_log=lambda _reason: None).close()  # its log knows that it is enrolled
    for name in (*FOLDERS, *FILES):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in FOLDERS:
            path.mkdir(mode=0o700, exist_ok=True)
        elif not path.exists():
            path.touch(mode=0o600)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    access = os.access  # by the rights in force: for root the call takes those that could be
    monkeypatch.setattr(os, "access", lambda path, mode: access(path, mode, effective_ids=True))
    copy = Path(shutil.copytree(made, tmp_path / "home"))
    yield copy
    for folder in (copy, *(copy / name for name in FOLDERS)):
        with suppress(OSError):
            folder.chmod(0o700)


@contextmanager
def only_as_a_user() -> Iterator[None]:
    """Drop root's right to ignore modes, on this thread and those that it starts."""
    libc, head, data = ctypes.CDLL(None), struct.pack("<Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    libc.capget(head, data)
    before = data.raw
    effective, permitted, inherited, *rest = struct.unpack("<6I", before)
    libc.capset(head, struct.pack("<6I", effective & ~(1 << 1 | 1 << 2), permitted, inherited, *rest))
    try:
        yield
    finally:
        libc.capset(head, before)


class Started:
    """The result of a start."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.line, self.alarms, self.why, self.purged = "", list[str](), "", 0
        self._said = io.StringIO()
        real = Ledger.apply_retention

        def counted(ledger: Ledger, *, by: str) -> object:
            result = real(ledger, by=by)
            self.purged += 1
            return result

        eyes = FailedEyes(NetAnswerError("plate-reader.tflite", "is not what is tested"))
        monkeypatch.setattr("firmware.run.one_run.load_eyes", lambda *_words, **_names: eyes)
        monkeypatch.setattr(Ledger, "apply_retention", counted)
        monkeypatch.setattr(
            OneRun, "_read", lambda _run, ledger, _eyes, _src, *rest: self._read(ledger, *rest)
        )
        log = event_log(self._said)
        try:
            with purging_anyway(home, log):
                take_home(home)
                app.run(home, RunOptions(source=str(CLIP)), out=io.StringIO(), err=self._said)
        except ENDS as error:
            self.line, _ = explain(error, Common(home))

    def _read(self, ledger: Ledger, beside: Beside, *_rest: object) -> RunResult:
        ledger.tend()
        self.alarms = [str(one) for one in beside.health.report().alarms]
        self.why = beside.health.why(Alarm.HOME_SHUT)
        return RunResult(frames=0, dropped=0, stored=0, lost=0, broken=0, blind_s=0.0, summary="")

    @property
    def new_log(self) -> bool:
        return "new_log_opened" in self._said.getvalue()


def test_a_unit_that_lost_nothing_starts_purges_and_has_no_such_alarm(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with only_as_a_user():
        started = Started(home, monkeypatch)
    assert (started.line, "home_shut" in started.alarms, started.new_log) == ("", False, False)
    assert started.purged


@pytest.mark.parametrize(
    ("part", "trouble"), ROWS if FULL else SAMPLE, ids=lambda value: str(value).replace(" ", "-")
)
def test_a_part_that_a_unit_may_not_use_is_named_with_its_cure_and_costs_no_purge_that_can_be(
    home: Path, part: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_home, "open_to_owner", lambda _home: [])  # as where it is another user's
    TROUBLES[trouble](home / part)
    with only_as_a_user():
        started = Started(home, monkeypatch)
    decided = (FOLDERS | FILES)[part]
    assert started.new_log == ((part, trouble) in NEW_LOG)
    if started.new_log:
        return
    if decided == MENDED:
        assert (started.line, "home_shut" in started.alarms, bool(started.purged)) == ("", False, True)
        return
    said = started.why if decided == RUNS else started.line
    assert started.line == ("" if decided == RUNS else said)
    assert ("home_shut" in started.alarms) == (decided == RUNS)
    assert f"{(home / part).parent if part.endswith('.list') else home / part}" in said
    assert "(" in said or ": remove it" in said or ": restore it" in said  # what to do
    assert "\n" not in said
    assert bool(started.purged) == (decided != ENDS_FOR_LEDGER)


@pytest.mark.parametrize("name", ["console.sock", "store/door.sock", "store/lock"])
def test_a_folder_in_the_place_of_a_socket_or_lock_is_moved_aside_with_its_content(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, it ended the start: nothing was purged, and no console answered."""
    (home / name).unlink(missing_ok=True)
    (home / name).mkdir()
    (home / name / "kept").touch()
    started = Started(home, monkeypatch)
    assert (started.line, started.new_log, bool(started.purged)) == ("", False, True)
    assert (home / f"{name}.moved-1" / "kept").exists()


def test_a_unit_that_can_serve_no_console_and_no_door_reads_and_purges(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "clear_place", shut)
    with capture_logs() as events:
        started = Started(home, monkeypatch)
    assert (started.line, bool(started.purged)) == ("", True)
    assert {"consoles_not_served", "door_not_served"} <= {one["event"] for one in events}


def test_a_lock_that_a_running_reader_holds_is_never_cleared_away(home: Path) -> None:
    """Otherwise two processes would write to one log."""
    held = HomeLock(Home(home))
    try:
        (home / "store" / "lock").chmod(0)
        with only_as_a_user():
            assert not renew_lock(Home(home))
            with pytest.raises(HomeLockedError):
                HomeLock(Home(home))
    finally:
        held.release()
    with only_as_a_user():
        assert renew_lock(Home(home))


def test_the_slot_of_another_log_is_not_taken_where_its_name_is_shut(home: Path, tmp_path: Path) -> None:
    """A new log would begin in it."""
    create_ledger(tmp_path / "other").close()
    shutil.copy(tmp_path / "other" / "store" / "slot", home / "store" / "slot")
    (home / "store" / "slot.uri").chmod(0)
    with only_as_a_user(), pytest.raises(NotOwnerError, match=r"slot\.uri: may not be read"):
        open_or_roll_over(home, on_new_log=lambda _reason: None)


def test_what_is_a_units_own_and_shut_by_its_mode_is_open_again_after_a_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy by hand or a wrong chmod may have left it so."""
    for part in reversed((*FOLDERS, *FILES)):
        (home / part).chmod(0)
    stranger = home / "7ABC123.jpg"
    stranger.touch(mode=0)
    with only_as_a_user():
        started = Started(home, monkeypatch)
        assert shut_parts(home) == []
    assert (started.line, "home_shut" in started.alarms, started.new_log) == ("", False, False)
    assert stranger.stat().st_mode & 0o777 == 0
    assert open_to_owner(home) == []


@pytest.mark.parametrize("part", ["config.toml", "hotlists", "store/blobs", "sync", "sync/member.cbor"])
def test_the_state_of_a_unit_is_shown_without_a_part_that_is_shut_to_it(
    home: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An update is committed depending on it, too."""
    (home / part).chmod(0)
    with only_as_a_user():
        assert main(["--home", str(home), "status"]) == 1
    said = capsys.readouterr().out
    assert "home_shut: the log names each file and what to do" in said
    assert f"{home / part}: cannot be opened by this unit (sudo chown --reference=" in said
    assert ("no reader starts without it" in said) == (part == "config.toml")


def test_a_file_in_place_of_the_folder_of_a_membership_is_named(tmp_path: Path) -> None:
    (tmp_path / "sync").touch()
    with pytest.raises(NotEnrolledError, match=r"sync is where a folder belongs: move it away"):
        SyncFolder.of(tmp_path).member()


def test_a_running_reader_looks_again_every_few_minutes(tmp_path: Path) -> None:
    now_s = [0.0]
    parts = ShutParts(tmp_path, lambda: now_s[0])
    assert parts.look() == ()
    (tmp_path / "hotlists").touch()
    now_s[0] = home_parts.LOOK_AGAIN_S - 1
    assert parts.look() == ()
    now_s[0] += 1
    (line,) = parts.look()
    assert line.startswith(f"{tmp_path / 'hotlists'}: is not a folder (move it away")


def test_a_file_that_is_removed_during_the_look_is_not_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_parts, "_names", lambda _folder: ["habit.json", "doj.list", "cleared"])
    (tmp_path / "hotlists").mkdir()
    assert shut_parts(tmp_path) == []
    part = home_parts._Part(tmp_path / "hotlists", is_folder=True)

    def removed(path: Path, *_: object, **__: object) -> bool:
        path.rmdir()
        return False

    monkeypatch.setattr(os, "access", removed)
    assert home_parts._wrong_with(part, tmp_path) == ""


def test_a_picture_that_a_person_put_there_is_never_named(tmp_path: Path) -> None:
    for folder in ("", "store", "sync", "hotlists"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "7ABC123.jpg").symlink_to("/nonexistent")
    assert shut_parts(tmp_path) == []


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("store/blobs", "7ABC123.jpg"), ("store/blobs", "x;$(touch pwned)"), ("store/strays", "7ABC123"),
        ("hotlists", "7ABC123.list"), ("sync/inbox", "7ABC123.cbor"),
    ],
)  # fmt: skip
def test_a_name_that_a_person_may_have_given_is_never_shown(tmp_path: Path, folder: str, name: str) -> None:
    """Once, a plate got into an event, and any text in a name into a command for root."""
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / name).symlink_to("/nonexistent")
    (line,) = shut_parts(tmp_path)
    assert line.startswith(f"{tmp_path / folder}: a file of another kind is in {folder} (look at it as root")
    assert name not in line


def test_a_shut_list_is_reported_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: path.suffix != ".list")
    (tmp_path / "hotlists").mkdir()
    (tmp_path / "hotlists" / "7ABC123.list").touch(mode=0)
    (tmp_path / "hotlists" / "doj.list").touch(mode=0)
    (line,) = shut_parts(tmp_path)
    assert line.startswith(
        f"{tmp_path / 'hotlists'}: a file in it cannot be opened by this unit (sudo chown -R"
    )


def test_a_command_for_root_quotes_the_path(tmp_path: Path) -> None:
    home = tmp_path / "a home;$(touch pwned)"
    (home / "store" / "blobs").mkdir(parents=True)
    (home / "store" / "blobs" / "00000002").touch()
    (home / "sync").symlink_to("/nonexistent")
    lines = shut_parts(home)
    assert f"sudo mv '{home}/store/blobs/00000002' '{home}/store/blobs/00000002.moved'" in lines[0]
    assert lines[1:] == [f"{home}/sync: is a link to nothing (mount its target, or remove it)"]


def test_a_part_that_goes_during_the_look_is_not_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge may remove epochs meanwhile, and a sync may empty its inbox."""
    (tmp_path / "store" / "blobs" / "00000002").mkdir(parents=True)
    (tmp_path / "sync" / "inbox").mkdir(parents=True)
    (tmp_path / "sync" / "inbox" / "hot-list_doj.cbor").touch()
    gone = {tmp_path / "store/blobs/00000002", tmp_path / "sync/inbox/hot-list_doj.cbor"}
    for late in ("lstat", "statvfs"):
        with monkeypatch.context() as going:
            real = Path.lstat

            def lstat(path: Path, real: Callable[[Path], os.stat_result] = real) -> os.stat_result:
                if path in gone:
                    raise FileNotFoundError(2, "gone", str(path))
                return real(path)

            def vanish(path: Path) -> os.statvfs_result:
                raise FileNotFoundError(2, "gone", str(path))

            if late == "lstat":
                going.setattr(Path, "lstat", lstat)
            else:
                going.setattr(os, "access", lambda path, _mode: path not in gone)
                going.setattr(os, "statvfs", vanish)
            assert shut_parts(tmp_path) == []


@pytest.mark.parametrize("names", [[], ["notes.txt"], ["store"]])
def test_only_a_home_is_given_back_to_its_owner(tmp_path: Path, names: list[str]) -> None:
    """Once, a mistyped --home changed the mode of any folder of the user."""
    folder = tmp_path / "other"
    folder.mkdir()
    for name in names:
        (folder / name).mkdir()
    folder.chmod(0o500)
    with only_as_a_user(), suppress(NoHomeError, OSError):
        take_home(folder)
    assert folder.stat().st_mode & 0o777 == (0o700 if names == ["store"] else 0o500)
