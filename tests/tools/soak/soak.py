"""One soak: an enrolled unit reads, is troubled, and is called to account at both ends."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import threading
import time
from dataclasses import replace
from pathlib import Path

from detector.reader import PlateReader
from detector.track import Tracker
from firmware import cli
from firmware.custody.bookkeeper import Bookkeeper
from firmware.custody.opening import create_ledger
from firmware.custody.purging import purging
from firmware.frames.pipeline import Pipeline
from firmware.frames.record import Surroundings
from firmware.run.uplink_thread import UplinkThread
from firmware.settings.software import software_version
from hw.camera_replay import ReplaySource
from hw.camera_watch import BlindSpell, WatchedCamera
from hw.errors import BrokenFrameError
from storage import codec
from storage.audit_records import Gap
from storage.ledger import KEEP_FREE, Ledger
from storage.policy import CustodyPolicy
from storage.read_records import Read
from storage.times import now_us
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.server.server import Department
from sync.department.units import documents
from sync.enrollment import join
from sync.event_log import event_log, events_to_stderr
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Attempt
from sync.schedule import Schedule
from tests.tools.local_department import HOST, LocalDepartment
from tests.tools.memory import resident_mb
from tests.tools.soak.account import Account
from tests.tools.soak.trouble import KINDS_OF_LOSS, Line, StallingSource, SteppedClock

BACK_WITHIN_S = 10.0
QUIET_ROUNDS = 3
LAST_LOOK_S = 60.0
FULL_DISK_S = 20.0
LINE_LOST_S = (15.0, 100.0)
GROWTH_MB = 64.0  # after the first tenth of the run, when every buffer has been used once
LOOK_S = 0.5
LAST_SYNC_S = 300.0
STEPS_S = (3600.0, -5.0, -3600.0, 5.0)
SCHEDULE = Schedule(interval_s=30, last_retry_s=30)
DECK = ("line", "disk", "line", "clock", "none")  # what comes beside one stall in five


class Soak:
    """One soak in one new folder: HOME of the unit, HOME of the department."""

    def __init__(
        self, folder: Path, source: Path, *, minutes: float, stalls: int, seed: int, fps: float
    ) -> None:
        self.account = Account(minutes=minutes)
        self._unit, self._office = folder / "unit", folder / "department"
        self._draw = random.Random(seed)
        self._clock = SteppedClock()
        self._source = StallingSource(
            ReplaySource(source, clock=self._clock, fps=fps, live=True, rounds=None)
        )
        self._announced: dict[int, bytes] = {}  # record number: digest of its leaf
        self._full_until_s = self._line_until_s = 0.0
        self._synced_s = self._read_s = 0.0
        self._quiet_limit_s = QUIET_ROUNDS * self._source.round_s + FULL_DISK_S + BACK_WITHIN_S
        self._ends = threading.Event()
        self._stalls = stalls
        self._every_s = minutes * 60 / max(1, stalls)
        self._log = event_log()

    def run(self) -> Account:
        """Soak, then account."""
        account, began_cpu_s, began_s = self.account, time.process_time(), time.monotonic()
        events_to_stderr()
        department = LocalDepartment(self._office)
        department.found(quietly=True)
        self._shorten(DepartmentHome.open(self._office))
        with department, create_ledger(self._unit, clock=self._clock) as ledger:
            line = Line(department.unit_port, self._draw)
            self._enroll(ledger, department.code("soak"), line)
            with contextlib.closing(line):
                self._read(ledger, line)
            self._check_log(ledger)
        account.processor_share = (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)
        self._verify(department)
        return account

    def _shorten(self, home: DepartmentHome) -> None:
        """A policy within 463 under which content goes soon: an hour's epochs, due with their receipt."""
        office = Department(home)
        try:
            documents.refresh(home, office.store, office.keys, now_us())
            with office.store.write() as connection:
                version = documents.version_out(connection, "policy") + 1
                policy = CustodyPolicy(
                    version=version,
                    organisation=home.settings.name,
                    epoch_hours=1,
                    keep_hours_after_receipt=0,
                )
                policy.check()
                message = documents.sign_document(
                    "policy", codec.to_bytes(policy), load_ed25519(home.path / "command.key")
                )
                documents.publish(connection, "policy", version, message, now_us())
        finally:
            office.close()

    def _enroll(self, ledger: Ledger, code: str, line: Line) -> None:
        folder = SyncFolder.of(self._unit)
        member = join(LedgerOutbox(ledger, folder.inbox), folder, code, software=software_version()[:64])
        folder.save_member(replace(member, unit_address=f"{HOST}:{line.port}"))

    def _read(self, ledger: Ledger, line: Line) -> None:
        real = ledger.free_bytes
        ledger.free_bytes = lambda: KEEP_FREE - 1 if time.monotonic() < self._full_until_s else real()
        uplink = UplinkThread(
            ledger,
            self._unit,
            SCHEDULE,
            log=self._log,
            now_us=lambda: self._clock.now().us,
            on_attempt=self._attempted,
        )
        camera, pipeline, bookkeeper = self._wire(ledger)
        self._synced_s = time.monotonic()
        with uplink, purging(ledger, self._log):
            pipeline.start()
            try:
                self._trouble(pipeline, line, camera)
                self._see_again(camera)
            finally:
                pipeline.stop()
                camera.close()
                pipeline.join()
                bookkeeper.close()
            self._count(pipeline, camera)
            line.find()
            self._await_receipt(ledger)
            self.account.connections_cut = line.cut

    def _wire(self, ledger: Ledger) -> tuple[WatchedCamera, Pipeline, Bookkeeper]:
        reader = PlateReader.from_models(threads=1)
        around = Surroundings(
            camera="soak", position=None, lane=None, models=(), software=software_version(), demo=False
        )

        def announce(number: int, read: Read) -> None:
            if ledger.read(number) != read:
                self.account.wrong.append(f"read {number} was stored otherwise than it was announced")
            self._announced[number] = _digest(ledger, number)
            self._read_s = time.monotonic()

        bookkeeper = Bookkeeper(
            ledger, around, clock=self._clock, overview_quality=85, announce=announce, log=self._log
        )

        def on_blind(spell: BlindSpell) -> None:
            bookkeeper.blind(spell)
            self.account.longest_blind_s = max(self.account.longest_blind_s, spell.blind_s)
            if spell.blind_s > BACK_WITHIN_S:
                self.account.wrong.append(f"blind for {spell.blind_s:.1f} s")

        camera = WatchedCamera(self._source, clock=self._clock, on_blind=on_blind)
        pipeline = Pipeline(
            camera,
            reader,
            Tracker(reader.decoding, reader.see_together),
            store=bookkeeper.store,
            live=True,
            on_frame=_nothing,
            on_broken=self._broken,
            on_progress=_nothing,
        )
        return camera, pipeline, bookkeeper

    def _broken(self, error: BrokenFrameError) -> None:
        self.account.broken_frames += 1
        if self.account.broken_frames == 1:
            self.account.wrong.append(f"a picture did not decode: {error}")

    def _attempted(self, made: Attempt) -> None:
        account, now_s = self.account, time.monotonic()
        account.conversations[made.outcome] = account.conversations.get(made.outcome, 0) + 1
        if made.outcome == "done":
            account.longest_without_sync_s = max(account.longest_without_sync_s, now_s - self._synced_s)
            self._synced_s = now_s
        elif made.outcome not in {"link", "paused"}:
            account.wrong.append(f"a conversation ended as {made.outcome}: {made.what}")

    # --- trouble ------------------------------------------------------------------------------------------

    def _trouble(self, pipeline: Pipeline, line: Line, camera: WatchedCamera) -> None:
        account, began_s = self.account, time.monotonic()
        ends_s = began_s + account.minutes * 60
        next_s = began_s + self._every_s * 0.5
        self._read_s = began_s
        lost_s: float | None = None
        while (
            (now_s := time.monotonic()) < ends_s + LAST_SYNC_S
            and pipeline.running
            and not self._ends.is_set()
        ):
            if now_s >= ends_s and account.stalls >= self._stalls and self._announced:
                break  # a busy machine may need longer for a few stalls and a read
            self._look_for_reads(now_s)
            if not account.memory_early_mb and now_s - began_s > account.minutes * 6:
                account.memory_early_mb = resident_mb()
            if lost_s is not None and now_s >= self._line_until_s:
                line.find()
                account.line_lost_s += now_s - lost_s
                lost_s = None
            sees = not (self._source.hangs or camera.blind_now)  # two stalls in one would be one gap
            if now_s >= next_s and account.stalls < self._stalls and sees:
                next_s += self._every_s
                self._source.stall()
                what = DECK[account.stalls % len(DECK)]
                account.stalls += 1
                if what == "line" and lost_s is None:
                    self._lose(line, now_s)
                    lost_s = now_s
                elif what == "disk":
                    self._full_until_s = now_s + min(FULL_DISK_S, self._every_s / 2)
                    account.full_disks += 1
                elif what == "clock":
                    self._clock.step(STEPS_S[account.clock_steps % len(STEPS_S)])
                    account.clock_steps += 1
            self._ends.wait(LOOK_S)
        account.minutes = round((time.monotonic() - began_s) / 60, 1)
        account.memory_late_mb = resident_mb()
        if account.longest_without_read_s > self._quiet_limit_s:
            account.wrong.append(f"no read for {account.longest_without_read_s:.0f} s, with vehicles in view")

    def end(self) -> None:
        """End the trouble now, from any thread, and account for what was."""
        self._ends.set()

    def _look_for_reads(self, now_s: float) -> None:
        """Vehicles pass in every round: a reader that reads none for long has stopped reading."""
        since_s = max(self._read_s, self._full_until_s)
        self.account.longest_without_read_s = max(self.account.longest_without_read_s, now_s - since_s)

    @staticmethod
    def _see_again(camera: WatchedCamera) -> None:
        """A stall just before the end is waited for, so that it can be told."""
        until_s = time.monotonic() + LAST_LOOK_S
        while camera.frame_age_s > 1 and time.monotonic() < until_s:
            time.sleep(0.1)

    def _lose(self, line: Line, now_s: float) -> None:
        lost = self.account.lost_lines
        kind = KINDS_OF_LOSS[sum(lost.values()) % len(KINDS_OF_LOSS)]
        lost[kind] = lost.get(kind, 0) + 1
        self._line_until_s = now_s + min(self._draw.uniform(*LINE_LOST_S), self._every_s)
        line.lose(kind)

    # --- account ------------------------------------------------------------------------------------------

    def _count(self, pipeline: Pipeline, camera: WatchedCamera) -> None:
        account, counts = self.account, pipeline.counts
        account.frames, account.frames_dropped = counts.frames, counts.dropped
        account.blind_s = camera.blind_s
        account.announced, account.stored = len(self._announced), counts.stored
        account.lost_to_full_disk = counts.unstored
        if account.announced != account.stored:
            account.wrong.append(f"{account.stored} reads stored, {account.announced} announced")
        if counts.passes != counts.stored + counts.unstored:
            account.wrong.append("a pass was neither stored nor counted as lost")
        if counts.unstored and not account.full_disks:
            account.wrong.append(f"{counts.unstored} reads lost while the disk had room")
        if account.memory_early_mb and account.memory_late_mb - account.memory_early_mb > GROWTH_MB:
            account.wrong.append(f"memory grew by {account.memory_late_mb - account.memory_early_mb:.0f} MB")

    def _await_receipt(self, ledger: Ledger) -> None:
        """With the line back, the department must have every announced read within minutes."""
        folder, until_s = SyncFolder.of(self._unit), time.monotonic() + LAST_SYNC_S
        while (missing := self._unreceived(ledger)) and time.monotonic() < until_s:
            folder.wanted.touch(mode=0o600)
            time.sleep(2)
        self.account.received_by_department = len(self._announced) - len(missing)
        if missing:
            self.account.wrong.append(f"{len(missing)} announced reads without the department's receipt")

    def _unreceived(self, ledger: Ledger) -> list[int]:
        with ledger.store.lock:
            received = ledger.store.book.received
            return [number for number in self._announced if number not in received]

    def _check_log(self, ledger: Ledger) -> None:
        account = self.account
        gaps = [
            ledger.store.record(number)
            for number in range(ledger.status().records)
            if ledger.store.leaf(number).kind == Gap.KIND
        ]
        blind = [gap for gap in gaps if isinstance(gap, Gap) and gap.reason.startswith("camera: ")]
        account.gaps_recorded = len(blind)
        account.epochs_purged = ledger.status().epochs_purged
        if len(blind) < account.stalls:
            account.wrong.append(f"{account.stalls} stalls, {len(blind)} gaps in the log")
        lost = sum(gap.lost for gap in gaps if isinstance(gap, Gap))
        if lost != account.lost_to_full_disk:
            account.wrong.append(f"{account.lost_to_full_disk} reads lost, the log says {lost}")
        for number, digest in self._announced.items():
            if _digest(ledger, number) != digest:
                account.wrong.append(f"announced read {number} is not in the log as it was announced")

    def _verify(self, department: LocalDepartment) -> None:
        """As a person would, with both programs' own commands; what they said goes into the account."""
        account = self.account
        for name in ("reader", "department"):
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = (
                    cli.main(["--home", str(self._unit), "verify"])
                    if name == "reader"
                    else department.verify()
                )
            setattr(account, f"{name}_verify", status)
            if status:
                account.wrong.append(f"{name} verify: {said.getvalue()[-500:]}")


def _digest(ledger: Ledger, number: int) -> bytes:
    with ledger.store.lock:
        return hashlib.sha256(ledger.store.log.leaf(number)).digest()


def _nothing(_event: object) -> None:
    """No one watches a soak."""
