"""A department's server in a real process, units with real ledgers, and a proxy that cuts and delays."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import resource
import select
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from custody_twins import SteppedTime, make_read
from waiting import PATIENCE_S
from warm_program import DEPARTMENT, WarmProgram

from hw.clock import SystemClock
from hw.secure_slot import LoopbackSlot
from storage.ledger import Ledger
from storage.read_records import Alert
from sync import messages
from sync.department.cli import main
from sync.department.ground.home import DepartmentHome
from sync.department.ground.settings import Settings
from sync.department.server.founding import found
from sync.department.server.server import Department
from sync.department.server.verify import Checker, StoreReport
from sync.department.units import documents
from sync.enrollment import join
from sync.errors import BatchRefusedError, LinkError, NotStoredError, RefusedByDepartmentError
from sync.hot_lists.entry import ListEntry
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.parcel_size import ParcelSize
from sync.runner import Attempt, Runner
from sync.schedule import Schedule
from sync.uplink import Conversation, SyncProgress
from tests.tools.ports import free_port

HOST = "localhost"


def files_of(home: Path) -> list[str]:
    """The files by their path in the home; the files that SQLite keeps next to a database belong to it."""
    found = (one.relative_to(home) for one in home.rglob("*") if one.is_file())
    return sorted(str(one) for one in found if not one.name.endswith(("-wal", "-shm")))


def verified(home: DepartmentHome, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit status of `department verify` and everything that it prints."""
    capsys.readouterr()
    return main(["verify", "--home", str(home.path)]), "".join(capsys.readouterr())


def bare_home(path: Path, **changes: object) -> DepartmentHome:
    """A founded home on free loopback ports."""
    facts: dict[str, object] = {
        "host": HOST,
        "listen": "127.0.0.1",
        "unit_port": free_port(),
        "desk_port": free_port(),
        "day_keys_ahead": 3,
    }
    return found(path, Settings(**(facts | changes)), demo=True).home  # type: ignore[arg-type]


def checked(home: DepartmentHome) -> StoreReport:
    """The verdict of `department verify`."""
    department = Department(home)
    try:
        return Checker(department.store, department.keys, department.packs, home.log_key().public_key()).run()
    finally:
        department.close()


class DepartmentProcess:
    """`department serve` in its own process."""

    def __init__(self, home: DepartmentHome) -> None:
        self.home = home
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, files: int = 0) -> None:
        """Start the server. `files`: the limit of its open files."""

        words = ["serve", "--home", str(self.home.path), "--json"]
        with (self.home.path / "serve.log").open("ab") as events:
            self._process = WarmProgram(DEPARTMENT, *words, stdout=subprocess.PIPE, stderr=events, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self.home.path / "serve.log").read_text()[-2000:]
        assert json.loads(line)["unit_port"] == self.home.settings.unit_port
        if files:
            resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (files, files))

    def kill(self) -> None:
        """End the process abruptly, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._wait()

    def stop(self) -> int:
        if self._process is None:
            return 0
        self._process.terminate()
        return self._wait()

    def _wait(self) -> int:
        assert self._process is not None
        status = self._process.wait(timeout=PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return status

    def code(self, name: str) -> str:
        return issue_code(self.home, name)


def issue_code(home: DepartmentHome, name: str) -> str:
    """Issue an enrollment code as `department enroll` does, beside the running server."""
    department = Department(home)
    try:
        return code_of(department, name)
    finally:
        department.close()


def code_of(department: Department, name: str) -> str:
    """The same at a department that this process has open."""
    documents.refresh(department.home, department.store, department.keys, time.time_ns() // 1000)
    return department.enrollment.issue_code(name).text()


class Unit:
    """A unit: a ledger on disk, a chip's twin beside it, HOME/sync."""

    def __init__(self, path: Path, *, time_source: SteppedTime | None = None) -> None:
        self.path = path
        self.home = path / "home"
        path.mkdir(parents=True, exist_ok=True)
        self.slot = LoopbackSlot(path / "chip")
        self.clock = time_source or SystemClock()
        self.folder = SyncFolder.of(self.home)
        self.ledger = Ledger.create(self.home, self.slot, self.clock)

    def reopen(self) -> None:
        """Open everything again as a new process would."""
        if not self.ledger.closed:
            self.ledger.close()
        self.ledger = Ledger.open(self.home, self.slot, self.clock)

    @property
    def outbox(self) -> LedgerOutbox:
        return LedgerOutbox(self.ledger, self.folder.inbox)

    def enroll(self, code: str) -> None:
        join(self.outbox, self.folder, code, software="test")

    def through(self, port: int) -> None:
        """Connect through a proxy from now on."""
        member = self.folder.member()
        self.folder.save_member(dataclasses.replace(member, unit_address=f"{HOST}:{port}"))

    def add(self, count: int, *, hit: bool = False, size: int = 600, text: str = "7XKR219") -> list[int]:
        """Store reads in one transaction. Returns their sequence numbers."""
        numbers = []
        with self.ledger.store.adding():
            for _ in range(count):
                read = make_read(self.clock.now().us, text, demo=False)
                ref = self.ledger.append_read(
                    read, patch=os.urandom(size), overview=os.urandom(2 * size), hit=hit
                )
                numbers.append(ref.sequence)
        return numbers

    def runner(self, schedule: Schedule | None = None) -> Runner:
        return Runner(self.outbox, self.folder, schedule or Schedule())

    def attempt(self) -> Attempt:
        return self.runner().attempt()

    def close(self) -> None:
        if not self.ledger.closed:
            self.ledger.close()


def raise_alert(unit: Unit) -> int:
    """Record a hit and its alert, dated by the unit's clock. Returns the alert's number."""
    (read,) = unit.add(1, hit=True, size=40)
    entry = ListEntry(plate="7XKR219", state="US-CA", category="stolen-vehicle")
    record = Alert(
        read=read, list_id="doj", list_version=1, source="SVS", entry=entry.to_bytes(),
        category="stolen-vehicle", score=0.97, twin=False, disagrees=(), silent=(), stale=False,
        at_us=unit.clock.now().us,
    )  # fmt: skip
    return unit.ledger.append(record).sequence


class LoopbackLink:
    """The twin of the HTTPS link, to the department in this process, without TLS."""

    depth = 1

    def __init__(self, department: Department) -> None:
        self._department, self._sent = department, 0
        self.before: Callable[[str, bytes], bytes] = lambda _name, data: data
        self.names: list[str] = []

    @property
    def sent_bytes(self) -> int:
        return self._sent

    def close(self) -> None:
        return

    def cut_at(self, name: str) -> None:
        """Let nothing of this kind arrive from now on."""

        def before(sent: str, data: bytes) -> bytes:
            if sent == name:
                raise LinkError("cut")
            return data

        self.before = before

    def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
        data = self.before(name, b"".join(pieces))
        self.names.append(name)
        self._sent += len(data)
        department = self._department
        try:
            if name == "challenge":
                return department.receiver.challenge()
            if name in {"new-log", "renew"}:
                return department.enrollment.answer(name, data)
            return department.receiver.answer(name, data)
        except RefusedByDepartmentError as error:
            if error.code in {"unavailable", "stale"}:
                kind = NotStoredError if error.code == "unavailable" else LinkError
                raise kind(error.what) from None
            refused = (
                BatchRefusedError
                if error.code in messages.INCIDENTS | {"closed"}
                else RefusedByDepartmentError
            )
            raise refused(error.what, code=error.code, held=error.held) from None


def converse(unit: Unit, department: Department, link: LoopbackLink | None = None) -> SyncProgress:
    """Hold one conversation over the loopback link."""
    key = department.home.log_key().public_key()
    now = unit.clock.now
    return Conversation(
        unit.outbox, link or LoopbackLink(department), key, ParcelSize(), lambda: now().us
    ).run()


def backed_up(department: Department, path: Path) -> Callable[[], None]:
    """Back up an SQLite store. Returns a function that restores the backup."""
    live = Path(department.store.where)

    def copy(source: Path, target: Path) -> None:
        with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)

    copy(live, path)

    def restore() -> None:
        department.store.engine.dispose()
        copy(path, live)

    return restore


class FaultProxy:
    """Forwards TCP on loopback to a port; can cut a connection after some bytes, or slow it to a drip."""

    def __init__(self, port: int, seed: int = 1) -> None:
        self._target, self._rng = port, random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts_left = 0
        self.cut_after = (2_000, 200_000)
        self.delay_s = 0.0
        self.loss = 0.0
        self.retransmit_s = 0.2
        self.down = False
        self.cuts = 0
        self.taken = threading.Event()  # set when a client sent something
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._listener.close()
        self._thread.join(300)

    def _accept(self) -> None:
        self._listener.settimeout(0.2)
        while not self._stop.is_set():
            try:
                inner, _ = self._listener.accept()
            except (TimeoutError, OSError):
                continue
            threading.Thread(target=self._serve, args=(inner,), daemon=True).start()

    def _serve(self, inner: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(inner)
            if self.down:
                return
            try:
                outer = stack.enter_context(socket.create_connection(("127.0.0.1", self._target), PATIENCE_S))
            except OSError:
                return
            limit = None
            if self.cuts_left:
                limit = self._rng.randint(*self.cut_after)
            self._pump(inner, outer, limit)

    def _pump(self, inner: socket.socket, outer: socket.socket, limit: int | None) -> None:
        passed = 0
        pairs = {inner: outer, outer: inner}
        while not self._stop.is_set():
            ready, _, _ = select.select(list(pairs), [], [], 0.2)
            for one in ready:
                try:
                    data = one.recv(16_384)
                    if not data:
                        return
                    self.taken.set()
                    if self.delay_s:
                        self._stop.wait(self.delay_s)
                    if self._rng.random() < self.loss:  # TCP turns a lost packet into a delay
                        time.sleep(self.retransmit_s)
                    passed += len(data)
                    if limit is not None and passed > limit:
                        pairs[one].sendall(data[: len(data) // 2])
                        self.cuts += 1
                        self.cuts_left -= 1
                        return
                    pairs[one].sendall(data)
                except OSError:
                    return


@contextlib.contextmanager
def running(home: DepartmentHome) -> Iterator[DepartmentProcess]:
    process = DepartmentProcess(home)
    process.start()
    try:
        yield process
    finally:
        process.stop()
