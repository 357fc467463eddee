"""`alpr-update@.service`: checks an update file, gives its bundle to RAUC, reports the result. Runs as root.

python3 -P -m alpr_device.install FILE
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import functools
import io
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from alpr_device import events
from alpr_device.errors import DeviceError, StillWritingError, UpdateRefusedError
from alpr_device.image_facts import floor, image_facts
from alpr_device.release import Running, copied_bundle, read_trust
from alpr_device.slots import board_slots, call, other
from alpr_device.trial import FOLDER, SlotTrial, SlotTrials, slot_mark
from storage.update_file import BUNDLE, SystemRelease

TRUST = Path("/usr/share/alpr/release-keys.txt")
RESULT = Path("/run/alpr-update/result")
INSTALL_LIMIT_S = 840
OPERATION = ("de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer", "Operation")
PATIENCE = "leave the power on, and give the same command again in some minutes"
LEFT_FREE_BYTES = 64 << 20
_PROGRESS = re.compile(r"\d{1,3} ?%")


def rauc_works() -> bool:
    """Whether RAUC's service is busy, with an installation or anything else. Raises BootSlotError."""
    return '"idle"' not in call("busctl", "get-property", *OPERATION)


def install(
    source: Path,
    *,
    folder: Path = FOLDER,
    trust: Path = TRUST,
    rauc: str = "rauc",
    running: Running | None = None,
    works: Callable[[], bool] = rauc_works,
    next_slot: Callable[[], str] = lambda: board_slots().next(),
) -> SystemRelease:
    """Install into the slot that does not run. Raises UpdateRefusedError, DeviceError; each is an event.

    Only one at a time: a second one would write unchecked data into the bundle that RAUC reads. An
    installation that outlasted its command is settled first: none begins until RAUC has ended it. works,
    next_slot: whether RAUC is busy, and which slot the next start uses; only called then.
    """
    with _alone(folder):
        now, trials = running or this_unit(), SlotTrials(folder)
        late = trials.late()
        try:
            if late is not None and works():
                raise StillWritingError(f"version {late.version} is still being written: {PATIENCE}")
            whole = "" if late is None else _settle_late(trials, late, folder, next_slot)
        except OSError as error:
            failed = DeviceError(f"{error.filename or folder}: {error.strerror}")
            _note_if_room(folder, f"not installed: {failed}", now, None)
            raise failed from None
        except DeviceError as error:
            _note_if_room(folder, f"not installed: {error}", now, None)
            raise
        return _installed(source, now, folder=folder, trust=trust, rauc=rauc, whole=whole)


def _settle_late(trials: SlotTrials, late: SlotTrial, folder: Path, next_slot: Callable[[], str]) -> str:
    """Settle an installation that outlasted its command; returns its digest if RAUC completed it, else "".
    RAUC's last step is to choose the slot for the next start. If it did not begin, the update that waited in
    the slot waits again. Raises BootSlotError, OSError.
    """
    waits = trials.still_waits(late)
    if waits is not None:
        late.note(f"not installed: RAUC did not begin to write slot {late.slot}", folder)
        trials.put_back(waits)
        return ""
    if next_slot() == late.slot and not slot_mark(folder, late.slot).exists():
        trials.written(late)
        return late.digest
    late.note(f"not installed: RAUC did not write slot {late.slot} to its end", folder)
    trials.drop()
    return ""


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raise DeviceError if another installation runs; without an event, since that one will note its own."""
    with (folder / "installing").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeviceError("another update is being installed: wait until it is done") from None
        yield


def _installed(
    source: Path, now: Running, *, folder: Path, trust: Path, rauc: str, whole: str
) -> SystemRelease:
    """Install an update that is not in the slot yet. whole: the digest of the bundle that already is."""
    bundle, trials = folder / BUNDLE, SlotTrials(folder)
    release: SystemRelease | None = None
    try:
        keys = read_trust(trust.read_text(encoding="utf-8"))
        with _opened(source) as file, bundle.open("wb") as target:
            room = functools.partial(_need_room, folder)
            release = copied_bundle(file, target, keys, now, make_room=room)
        if release.bundle_digest == whole:
            return release
        before = trials.current()
        trial = trials.begin(
            version=release.version, from_version=now.version, digest=release.bundle_digest, slot=now.target
        )
        try:
            _hand_over(rauc, bundle)
        except StillWritingError:
            raise  # RAUC may still complete it: the trial stays for the next command or start
        except DeviceError:
            trials.failed(trial, before)
            raise
    except OSError as error:
        failed = DeviceError(f"{error.filename or folder}: {error.strerror}")
        _note_if_room(folder, f"not installed: {failed}", now, release)
        raise failed from None
    except DeviceError as error:
        late = isinstance(error, StillWritingError)
        _note_if_room(folder, str(error) if late else f"refused: {error}", now, release)
        raise
    finally:
        bundle.unlink(missing_ok=True)
    try:
        trials.written(trial)
    except OSError as error:  # the next start notes it
        print(f"not noted yet: {error}", file=sys.stderr)
    return release


class _Medium(io.BufferedReader):
    """A file of a medium. Where that was pulled out, the error names the file: else the data partition, to
    which it is copied, would be blamed."""

    def __init__(self, handle: int, path: Path) -> None:
        super().__init__(io.FileIO(handle))
        self._path = path

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None


def _opened(source: Path) -> BinaryIO:
    """Open a plain file: a pipe would block the installer until its time limit. Raises OSError."""
    handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is not a file", str(source))
    return _Medium(handle, source)


def _need_room(folder: Path, size: int) -> None:
    """Raise DeviceError if the bundle would use the space that the reader needs for its log."""
    free = shutil.disk_usage(folder).free
    if free < size + LEFT_FREE_BYTES:
        need, have = (size + LEFT_FREE_BYTES) / 1e6, free / 1e6
        raise DeviceError(
            f"{need:.0f} MB are needed on the data partition, {have:.0f} MB are free: sync, so that what is "
            "delivered is purged"
        )


def this_unit() -> Running:
    """The running image. Raises DeviceError."""
    facts, slots = image_facts(), board_slots()
    running = slots.running()
    return Running(
        board=facts.board,
        version=facts.version,
        floor=floor(),
        on_trial=running != slots.committed(),
        target=other(running),
    )


def _hand_over(rauc: str, bundle: Path) -> None:
    """Let RAUC install: it checks the bundle's signature, its board, and every block that it writes."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell
            [rauc, "install", str(bundle)],
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StillWritingError(
            f"not installed yet: RAUC still writes after {INSTALL_LIMIT_S // 60} minutes: {PATIENCE}"
        ) from None
    except OSError as error:
        raise DeviceError(f"rauc: {error}") from None
    if done.returncode:
        raise UpdateRefusedError(f"rauc: {reason(done.stdout + done.stderr)}")


def reason(said: str) -> str:
    """Why RAUC did not install, from its output. " 10% Verifying signature" is progress, not a reason."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    reasons = [line for line in lines if line and not _PROGRESS.match(line)]
    for words in ("LastError", "ignature", "rror", "ailed"):
        for line in reasons:
            if words in line:
                return line[:160]
    return "no reason given"


def _note_if_room(folder: Path, outcome: str, now: Running, release: SystemRelease | None) -> None:
    """Note an event if there is room: a full disk, perhaps the cause, must not hide the error."""
    (folder / BUNDLE).unlink(missing_ok=True)  # it takes most of the space
    with contextlib.suppress(OSError):
        events.note(
            outcome,
            from_version=str(now.version),
            to_version="" if release is None else str(release.version),
            digest="" if release is None else release.bundle_digest,
            attempt=True,
            path=folder / events.EVENTS.name,
        )


def main() -> int:
    """Install and report; the console shows the last line of RESULT."""
    parser = argparse.ArgumentParser(prog="alpr-update", description=__doc__)
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    try:
        release = install(args.file)
        status, line = (
            0,
            f"installed {release.name} (version {release.version}); it is tried at the next restart",
        )
    except UpdateRefusedError as error:
        status, line = 1, f"refused: {error}"
    except StillWritingError as error:
        status, line = os.EX_TEMPFAIL, str(error)
    except DeviceError as error:
        status, line = 1, f"not installed: {error}"
    print(line, file=sys.stderr)
    write_result(line)
    return status


def write_result(line: str, path: Path = RESULT) -> None:
    """Write a line for the caller, the reader's account, which is not root and shows it on the console."""
    path.write_text(line + "\n", encoding="utf-8")
    path.chmod(0o644)


if __name__ == "__main__":
    sys.exit(main())
