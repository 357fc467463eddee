"""The unit behind its console: answers from ledger, camera, clock and machine; never with part of a read."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.console import factory_reset
from firmware.console.aim import AimView, look
from firmware.console.bundles import bundle_lines, laid_out, model_lines
from firmware.console.errors import UnitRefusedError
from firmware.console.plate_spots import Spots
from firmware.console.selftest import self_test
from firmware.console.unit import Identity, ResetObstacles, SelfTestLine, one_word
from firmware.custody.opening import custody_of
from firmware.errors import FirmwareError
from firmware.fleet import sent_configuration
from firmware.health.report import HealthReport, HealthWatch
from firmware.health.system_marks import system_marks
from firmware.health.wear import coarse_free
from firmware.screen import screened
from firmware.settings.config import (
    FILE_NAME,
    CameraSettings,
    Config,
    config_bytes,
    load_config,
    rewrite_config,
)
from firmware.settings.config_record import record_configuration
from firmware.settings.software import software_version
from hw.camera import Frame
from hw.clock import Clock, TimeState
from hw.clock_discipline import DisciplinedClock
from hw.errors import HardwareError
from hw.lamps import Lamps
from hw.machine import Machine
from hw.vitals import Board, NetworkLink, can_reach
from storage import envelope
from storage.clock_trust import LONE_LIMIT_US
from storage.errors import ExplainedError, StorageError
from storage.grant_format import REVOCATIONS
from storage.ledger import Ledger
from storage.record_base import KeyClass
from storage.times import DAY_US
from sync.documents import inbox_file, open_kept
from sync.errors import SyncError
from sync.health import Alarm
from sync.membership import SyncFolder

MEDIA = (Path("/media"), Path("/mnt"), Path("/run/media"))  # where USB sticks and cards are mounted
KEEP_POWER = "leave power, and a vehicle's ignition, on until it is installed"  # up to 20 minutes
DEFAULT = "default"  # as a value: the setting's default
CAMERA_SETTINGS = ("exposure_us", "gain_max", "fps", "focus_dioptres", "rotation")
VENDOR = "vendor"  # 463.3: access for maintenance and repair
_SHOWS_HITS = frozenset(
    {"records", "anchored_by", "clock_lead_us", "epochs_open", "epochs_kept", "epochs_purged"}
)
"""Of the ledger's status. A hit is a record more than its read, has an epoch of its own, and is sent at once:
then the department holds the newest anchor, and has said the time.
"""

FindPlates = Callable[[Frame], Spots]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a field unit.

    newest: gives the frame to aim with, raises HardwareError. find: only the detector's first stage, so that
    aiming never reads a plate. sync_now: syncs once, returns a line with the outcome. retune: opens the
    camera with other settings, and says why it does not take them. lamps: opens buzzer and alert lamp; None
    without either. fitted: the self-test of the other parts.
    """

    home: Path
    ledger: Ledger
    clock: Clock
    health: HealthWatch
    board: Board
    machine: Machine
    newest: Callable[[], Frame]
    find: FindPlates
    sync_now: Callable[[], str]
    join: Callable[[str], str]
    retune: Callable[[CameraSettings], str]
    lamps: Callable[[], Lamps] | None = None
    fitted: Callable[[], Iterable[SelfTestLine]] = tuple


class FieldUnit:
    """A real unit; see firmware.console.unit.MaintainedUnit."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._folder = SyncFolder.of(parts.home)
        self._setting, self._installing = threading.Lock(), threading.Lock()  # of all consoles
        self._was_reset = self._restarts = False
        self._by_hand_us = 0

    # -- who and when ---

    def identity(self) -> Identity:
        """See Unit.identity."""
        if self._folder.is_member():
            member = self._folder.member()
            unit, name = member.unit_id, member.name
        else:
            unit = name = self._config().unit.name
        status = self._parts.ledger.status()
        return Identity(
            unit=one_word(unit), name=one_word(name),
            software=software_version(), enrolled=status.enrolled, empty=self._is_empty(),
        )  # fmt: skip

    def _is_empty(self) -> bool:
        store = self._parts.ledger.store
        with store.lock:
            kept = self._kept_epochs({KeyClass.READ, KeyClass.HIT, KeyClass.HOLD})
            return not any(store.has_leaves(epoch) for epoch in kept)

    def command_keys(self) -> Sequence[Ed25519PublicKey]:
        """The keys that may sign grants: the department's command key, none before enrollment."""
        return [self._folder.member().command_public()] if self._folder.is_member() else []

    def time_us(self) -> tuple[int, int]:
        """See Unit.time_us. A clock without a known time, and a log opened by it, may be years ahead: then
        only the time that has certainly passed counts. Otherwise no grant could serve to correct the clock.
        """
        store = self._parts.ledger.store
        with store.lock:
            clock, moment, time = self._parts.clock.now(), store.time.now(), store.time
            if clock.state is TimeState.UNKNOWN:
                return time.sure_us, clock.error_us
            if not time.is_misled:
                return moment.us, clock.error_us
            if clock.us < time.trusted_us - LONE_LIMIT_US:  # set since: only the log's time is ahead
                return max(clock.us, time.sure_us), clock.error_us
            return time.sure_us, max(clock.error_us, DAY_US)

    def _signed_us(self) -> int:
        store = self._parts.ledger.store
        with store.lock:
            return store.time.sure_us

    def log_ahead_us(self) -> int:
        """See Unit.log_ahead_us."""
        store = self._parts.ledger.store
        with store.lock:
            return max(0, store.time.trusted_us - self._parts.clock.now().us)

    def revoked(self) -> frozenset[str]:
        """See Unit.revoked: the signed list, and people who are revoked or untrained by the roster.

        463.9 requires no training of vendors; a vendor's access ends with the grant or by revocation.
        """
        if self._was_reset:
            raise UnitRefusedError("the unit was reset")
        now_us, _ = self.time_us()
        trained_for_us = self._parts.ledger.store.policy.training_days * DAY_US
        lapsed = {
            person.user
            for person in self._parts.ledger.standing.roster.people
            if person.revoked or (VENDOR not in person.roles and now_us >= person.trained_us + trained_for_us)
        }
        return frozenset(lapsed | set(self._revocation_list()))

    def _revocation_list(self) -> Sequence[str]:
        taken = self._parts.ledger.store.book.files.get(REVOCATIONS)
        kept = self._folder.inbox / inbox_file(REVOCATIONS)
        if not self._folder.is_member() or not (kept.exists() or taken):
            return ()
        member = self._folder.member()
        try:
            names = envelope.decode(open_kept(self._folder.inbox, REVOCATIONS, member, taken).body)
        except FileNotFoundError:
            raise UnitRefusedError("the list of revoked grants is missing: sync now") from None
        except (OSError, ExplainedError) as error:
            raise UnitRefusedError(f"the list of revoked grants is damaged ({error}): sync now") from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UnitRefusedError("the list of revoked grants is damaged: sync now")
        return names

    # -- looking ---

    def health(self) -> HealthReport:
        """See Unit.health."""
        return self._parts.health.report()

    def aim(self) -> AimView:
        """See Unit.aim. Plates are found, never read; a plate that is not found is too small or coarse to
        show.
        """
        frame = self._parts.newest()
        spots = self._parts.find(frame)
        return look(
            frame.luma,
            [box.corners for box in spots.plates],
            blots=[box.corners for box in spots.blots],
            exposure_us=frame.exposure_us,
            gain=frame.gain,
        )

    def selftest(self) -> Iterator[SelfTestLine]:
        """See Unit.selftest."""
        parts = self._parts
        yield from self_test(
            ledger=parts.ledger,
            clock=parts.clock,
            board=parts.board,
            newest=parts.newest,
            find=parts.find,
            lamps=parts.lamps,
            fitted=parts.fitted,
            upside_down=Alarm.UPSIDE_DOWN in parts.health.report().alarms,
        )

    def storage(self) -> Mapping[str, str]:
        """See Unit.storage. The log's counts are from the last scheduled sync; newer ones would show hits."""
        status, vitals = self._parts.ledger.status(), self._parts.board.look()
        custody = custody_of(self._parts.ledger, self._folder)
        told = {name: getattr(status, name) for name in type(status).__slots__ if name not in _SHOWS_HITS}
        told |= {"free_bytes": coarse_free(status.free_bytes)}
        told |= {"newer_than_anchors": custody.newer_than_anchors, "unreceived": custody.unacknowledged}
        facts = {name.replace("_", " "): value for name, value in told.items()}
        wear = "-" if vitals.card_wear_percent is None else f"{vitals.card_wear_percent} %"
        return {name: str(value) for name, value in facts.items()} | {"card wear": wear}

    def log_lines(self, count: int) -> Sequence[str]:
        """See Unit.log_lines."""
        return self._parts.machine.log_lines(count)

    # -- changing ---

    def camera(self) -> Mapping[str, str]:
        """See Unit.camera."""
        camera = self._config().camera
        fixed = {"size": f"{camera.width} x {camera.height}", "name": camera.name}
        changeable = {name: getattr(camera, name) for name in CAMERA_SETTINGS}
        return fixed | {name: "-" if value is None else str(value) for name, value in changeable.items()}

    def set_camera(self, name: str, value: str) -> str:
        """See Unit.set_camera: changes one line, and checks the whole configuration before it is written."""
        number = re.fullmatch(r"0*(\d{1,6}(?:\.\d{1,4})?)", value)  # TOML does not allow leading zeros
        if name not in CAMERA_SETTINGS or not (number or value == DEFAULT):
            raise UnitRefusedError(
                f"camera: NAME is one of {', '.join(CAMERA_SETTINGS)}, VALUE a number, or {DEFAULT}"
            )
        with self._setting:
            before = getattr(self._config().camera, name)
            self._rewrite_camera(name, number[1] if number else None)
            record_configuration(self._parts.ledger, self._parts.home, self._parts.clock)
        try:
            not_taken = self._parts.retune(self._config().camera)
        except HardwareError as error:
            return f"saved; applies at the next start: {error}"
        if name == "rotation":  # the same one, too: the unit itself may have been turned
            self._parts.health.forget_way_up()
        if not_taken:
            back = DEFAULT if before is None else f"{before:g}"
            return f"saved, but the camera does not take it: {not_taken} (undo it: camera {name} {back})"
        return "saved; applies from the next frame"

    def _rewrite_camera(self, name: str, value: str | None) -> None:
        """Write a camera setting; None restores the line of `reader init`, a comment if it is optional."""
        path = self._parts.home / FILE_NAME
        text = config_bytes(self._parts.home).decode()
        head, mark, rest = text.partition("[camera]")
        body, nextmark, tail = rest.partition("\n[")
        line = re.compile(rf"^(#\s*)?{name}\s*=.*$", re.MULTILINE)
        if not mark or len(line.findall(body)) == 0:
            raise UnitRefusedError(f"{path} has no line for camera.{name}")
        default = getattr(CameraSettings(), name)
        if value is None:
            value = None if default is None else str(default)
        written = f"# {name} =" if value is None else f"{name} = {value}"
        changed = head + mark + line.sub(written, body, count=1) + nextmark + tail
        try:
            rewrite_config(self._parts.home, changed)
        except FirmwareError as error:
            raise UnitRefusedError(str(error)) from None

    def network(self) -> Sequence[str]:
        """See Unit.network."""
        lines = [_link_line(link) for link in self._parts.board.look().links]
        if not self._folder.is_member():
            return [*lines, "no department to reach: not enrolled"]
        host, _, port = self._folder.member().unit_address.rpartition(":")
        reason = can_reach(host.strip("[]"), int(port) if port.isdecimal() else 443)
        return [*lines, "department reachable" if reason is None else f"department not reached: {reason}"]

    def join_wifi(self, name: str, passphrase: str) -> str:
        """See Unit.join_wifi."""
        self._parts.machine.join_wifi(name, passphrase)
        return f"joined {name}"

    def set_by_hand_us(self) -> int:
        """See Unit.set_by_hand_us."""
        return self._by_hand_us

    def set_time(self, us: int) -> None:
        """See Unit.set_time."""
        floor_us, _ = self.time_us()
        if us < self._signed_us():
            raise UnitRefusedError(
                "the log already holds a later signed time: the clock cannot be set before it"
            )
        if us < floor_us:
            raise UnitRefusedError(
                "the clock is ahead of that, and was set or is held: only a network with time or a receiver "
                "sets it back"
            )
        self._parts.machine.set_clock(us)
        self._by_hand_us += max(0, us - floor_us)
        if isinstance(self._parts.clock, DisciplinedClock):
            self._parts.clock.set_by_hand()

    def sync(self) -> Iterator[str]:
        """See Unit.sync."""
        if not self._folder.is_member():
            raise UnitRefusedError("not enrolled: enroll first")
        yield "contacting the department"
        yield self._parts.sync_now()

    def update_state(self) -> Sequence[str]:
        """See Unit.update_state."""
        lines = [f"software {software_version()}", *model_lines()]
        if given_up := system_marks().given_up:
            lines.append(f"given up: {given_up}")
        ready = bundle_lines(self._folder) if self._folder.is_member() else ()
        sent = sent_configuration.newest(self._folder)
        if sent is not None:
            lines.append(f"configuration {sent.version} from the department: {sent.refused or 'applied'}")
        return [*lines, *(ready or ("no sync delivered a bundle; from a medium: update /PATH/OF/BUNDLE",))]

    def update(self, source: str) -> Iterator[str]:
        """See Unit.update: gives the bundle to the image's installer, which checks it."""
        with self._installing_alone():
            if self._restarts:
                raise UnitRefusedError("the unit is restarting: install once it runs again")
            yield f"checking {source}"
            yield KEEP_POWER
            yield self._installed(source)

    @contextlib.contextmanager
    def _installing_alone(self) -> Iterator[None]:
        """Exclude other installations meanwhile. Raises UnitRefusedError."""
        if not self._installing.acquire(blocking=False):
            raise UnitRefusedError("another console is installing: wait until it is done")
        try:
            yield
        finally:
            self._installing.release()

    def _installed(self, source: str) -> str:
        if "/" in source:
            return self._parts.machine.install_update(_bundle_at(source, self._parts.home))
        if not self._folder.is_member():
            raise UnitRefusedError("not enrolled: no sync can deliver a bundle")
        with laid_out(self._folder, source) as path:
            return self._parts.machine.install_update(str(path))

    def may_write_update(self) -> bool:
        """See Unit.may_write_update. The system is asked, since this process may have started after it."""
        try:
            return self._parts.machine.installs_update()
        except HardwareError:
            return True  # one more question costs less than an update that is cut off

    def reboot(self) -> None:
        """See Unit.reboot. Refused during an installation."""
        with self._installing_alone():
            self._parts.machine.reboot()
            self._restarts = True

    # -- first and last ---

    def reset_obstacles(self) -> ResetObstacles:
        """See Unit.reset_obstacles."""
        store = self._parts.ledger.store
        with store.lock:
            waiting = self._undelivered()
            moved = [one for several in store.book.resealed.values() for _, one in several]
            held = sorted({one.hold for one in moved if one.epoch not in store.book.released})
            return ResetObstacles(
                unacknowledged=len(waiting),
                log_size=store.log.frontier.size,
                holds=tuple(held),
                opened_us=self._opened_us(),
                log=store.log_id.hex(),
            )

    def _opened_us(self) -> int:
        """When this log was opened, as far as known. Under the store's lock.

        If its time differs from the department's by more than a lone source may move it, its clock was wrong;
        then the department's time counts, which also dates grants.
        """
        opened, time = self._parts.ledger.store.book.opened, self._parts.ledger.store.time
        if opened is None:
            return 0
        stated = time.department_time
        off_us = 0 if stated is None else stated.us - time.trusted_us
        return opened.opened_us + (off_us if abs(off_us) > LONE_LIMIT_US else 0)

    def _undelivered(self) -> list[int]:
        """The reads and hits that no receipt covers. Under the store's lock."""
        store = self._parts.ledger.store
        return [
            sequence
            for epoch in self._kept_epochs({KeyClass.READ, KeyClass.HIT})
            for sequence in store.sequences(epoch)
            if sequence not in store.book.received
        ]

    def _kept_epochs(self, classes: Set[KeyClass]) -> list[int]:
        """The epochs of these classes that are not purged. Under the store's lock."""
        return [
            facts.epoch
            for facts in self._parts.ledger.store.book.epochs.values()
            if facts.key_class in classes and facts.purged_by is None
        ]

    def factory_reset(self, agreed: ResetObstacles, *, grant_id: str = "") -> Iterator[str]:
        """See Unit.factory_reset. Clears the slot first: after that, nothing on the card can be opened."""
        with self._installing_alone():
            yield from self._reset(agreed, grant_id)

    def _reset(self, agreed: ResetObstacles, grant_id: str) -> Iterator[str]:
        parts, store = self._parts, self._parts.ledger.store
        with store.lock:
            undelivered, holds = self._undelivered(), self.reset_obstacles().holds
            # compare numbers, not counts: a receipt for an earlier read must not hide a new one
            is_new = any(one >= agreed.log_size for one in undelivered)
            if is_new or not set(holds) <= set(agreed.holds):
                raise UnitRefusedError("a new read arrived: sync, then try again")
            word = factory_reset.LastWord.of(
                parts.ledger, self._folder, undelivered, holds, grant_id, parts.clock.now().us
            )
            slot_uri = store.slot.uri
            factory_reset.begin(parts.home, slot_uri, word)
            factory_reset.destroy_keys(store)
            self._was_reset = True
        yield "keys destroyed: the slot is empty"
        yield from list(factory_reset.settle(parts.home, slot_uri, word))  # complete even if the line is gone
        with contextlib.suppress(HardwareError):
            parts.machine.reboot()
        yield "restarting as a new unit"

    def enroll(self, code: str) -> Iterator[str]:
        """See Unit.enroll."""
        yield "joining"
        try:
            yield self._parts.join(code)
        except (SyncError, StorageError) as error:  # may quote a stranger who answers for a department
            raise UnitRefusedError(screened(str(error))) from None

    def _config(self) -> Config:
        return load_config(self._parts.home)


def _bundle_at(path: str, home: Path) -> str:
    """The path of a bundle on a medium. Raises UnitRefusedError.

    Other paths get the same refusal whether they exist or not: a grant is not for searching for files.
    """
    if not path.startswith("/") or ".." in Path(path).parts:
        raise UnitRefusedError(f"{path}: give the whole path of the bundle, without ..")
    found = Path(os.path.realpath(path))  # Path.resolve raises for a loop of links
    if not any(found.is_relative_to(one) for one in MEDIA) or found.is_relative_to(home.resolve()):
        places = " or ".join(map(str, MEDIA))
        raise UnitRefusedError(f"{path}: not on a medium: mount it under {places}, and name the bundle there")
    if found.exists() and not found.is_file():
        raise UnitRefusedError(f"{path}: not a file: name the bundle itself")
    if not found.is_file():
        raise UnitRefusedError(f"{path}: no such file; is the medium plugged in and mounted?")
    return str(found)


def _link_line(link: NetworkLink) -> str:
    signal = "" if link.signal_dbm is None else f", signal {link.signal_dbm} dBm"
    # no byte counts: a hit is sent at once
    flows = "bytes flow" if link.received_bytes and link.sent_bytes else "no bytes yet"
    return f"{link.name:<8} {'up' if link.up else 'down':<5} {link.address or '-':<15} {flows}{signal}"
