"""A factory reset of a home: first the keys, then everything else, while other threads may still write there.

Promises: after the first step nothing on the card can be opened, and the later steps are always completed,
after a power cut by the next start, before it can mistake the home for a unit that lost its key. The result
is a new unit in the same slot; the mark of the reset stays until that unit has its log. The department is
informed by a receipt, which the log's key signs before it is destroyed. The receipt is in the mark of the
reset; if it cannot be sent, it stays in HOME/destroyed, which a reset does not remove.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware.console.errors import UnitRefusedError
from firmware.custody.opening import folder_with_chip
from hw.errors import HardwareError, SlotFailedError
from hw.secure_slot import open_slot
from storage import files
from storage.counts import counted
from storage.errors import ExplainedError, LedgerError
from storage.home import MAX_LINE_BYTES, Home
from storage.ledger import Ledger
from storage.slot import CLEARED, held
from storage.store import UnitStore
from sync import destruction, messages
from sync.enrollment import open_link
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder

MARK = "reset-begun"  # the slot's URI, and the receipt until it is sent or kept; written first, removed last

MAX_MARK_BYTES = MAX_LINE_BYTES + 2 * messages.MAX_SMALL_BYTES
TRIES = 5
WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class LastWord:
    """The signed destruction receipt of an enrolled unit."""

    log_id: bytes
    message: bytes

    @classmethod
    def of(  # noqa: PLR0917 - called once, by the reset
        cls,
        ledger: Ledger,
        folder: SyncFolder,
        undelivered: Sequence[int],
        holds: Sequence[int],
        grant_id: str,
        now_us: int,
    ) -> LastWord | None:
        """Sign it while the log's key still exists; None for a unit without a department."""
        if not folder.is_member():
            return None
        outbox = LedgerOutbox(ledger, folder.inbox)
        said = destruction.Destroyed(
            log_id=outbox.log_id,
            unit_id=folder.member().unit_id,
            at_us=now_us,
            size=outbox.size(),
            checkpoint=outbox.head(),
            grant_id=grant_id[:64],
            undelivered=len(undelivered),
            ranges=destruction.ranges_of(undelivered),
            holds=tuple(holds[: destruction.MAX_HOLDS]),
        )
        return cls(outbox.log_id, messages.seal_message(said, outbox.sign))

    @classmethod
    def printed(cls, text: str) -> LastWord | None:
        """Parse its printed form; None if the text is not one."""
        try:
            message = destruction.of_text(text.encode())
            return cls(messages.claimed_log(destruction.Destroyed, message), message)
        except ExplainedError:
            return None

    def send(self, home: Path, slot_uri: str) -> bool:
        """Send it; returns whether the department has it. The uplink's keys may be in the slot's chip."""
        try:
            folder = folder_with_chip(home, slot_uri)
            member = folder.member()
            link = open_link(folder, member, passed_us=0)
            try:
                destruction.send(link, member.department_public(), self.message)
            finally:
                link.close()
        except (ExplainedError, HardwareError, OSError, ValueError):  # the reset continues in any case
            return False
        return True

    def keep(self, home: Path) -> Generator[str, None, bool]:
        """Keep it for the new unit's first sync; returns whether that worked. Yields lines for delivery by
        hand.
        """
        kept = True
        try:
            destruction.keep(home, self.log_id, self.message)
            yield "department not reached: the first sync after joining again sends this receipt"
        except OSError:
            kept = False
            yield "department not reached, and this receipt could not be stored"
        yield "to deliver it by hand, copy these lines: department incident receipt FILE"
        yield from destruction.as_text(self.message)
        return kept


def begin(home: Path, slot_uri: str, word: LastWord | None) -> None:
    """Record that a reset begins. A full disk must not prevent it."""
    lines = [slot_uri, *(() if word is None else destruction.as_text(word.message))]
    with contextlib.suppress(OSError):
        files.replace(home / MARK, "\n".join(lines).encode())


def finish(home: Path) -> str | None:
    """Complete a reset; returns the slot's URI for the new unit until that has its log, None without a reset.

    A reset that was interrupted before it destroyed the keys is dropped with its receipt. Raises
    HardwareError.
    """
    mark = home / MARK
    try:
        uri, _, printed = files.read_bounded(mark, MAX_MARK_BYTES).decode().partition("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LedgerError):
        uri = printed = ""  # a torn write: the keys were not destroyed yet
    if not uri or len(uri) > MAX_LINE_BYTES or _is_elsewhere(home, uri):
        end(home)
        return None
    if held(open_slot(uri, Home(home).folder)) is not None:
        if not Home(home).exists():
            return uri  # the new unit has its key, but no log yet
        end(home)
        return None
    for _line in settle(home, uri, LastWord.printed(printed)):
        pass  # `reader status` names the file
    return uri


def _is_elsewhere(home: Path, uri: str) -> bool:
    """Whether the home has a log with its keys in another slot, which this reset did not destroy."""
    try:
        return Home(home).exists() and Home(home).read_slot_uri() != uri
    except LedgerError:
        return False


def end(home: Path) -> None:
    """Remove the mark of the reset, once the new unit has its log."""
    with contextlib.suppress(OSError):
        (home / MARK).unlink(missing_ok=True)


def destroy_keys(store: UnitStore) -> None:
    """Clear the slot and the keys in memory. Raises UnitRefusedError. Under the store's lock."""
    slot = store.slot
    slot.write(CLEARED)
    if slot.read() != CLEARED:
        raise UnitRefusedError(f"{slot.uri} did not take the reset: destroy the unit's card and chip")
    # The hourly anchoring of this process must not write the key back to the slot.
    store.slot = _ClearedSlot(slot.uri)
    store.live.clear()


def settle(home: Path, slot_uri: str, word: LastWord | None) -> Iterator[str]:
    """Do the steps after the keys: send the receipt, clear the home, and keep an unsent receipt in the space
    that this frees (until then it is in the mark). Yields lines for a person.
    """
    owed = word
    if word is not None and word.send(home, slot_uri):
        owed = None
        with contextlib.suppress(OSError):
            destruction.drop(home, word.log_id)
    left = clear_home(home, slot_uri, owed)
    if owed is not None and (yield from owed.keep(home)):
        begin(home, slot_uri, None)
    kept = f", except {counted(len(left), 'file')} that no key opens" if left else ""
    yield f"home cleared{kept}"


def clear_home(home: Path, slot_uri: str, owed: LastWord | None = None) -> list[str]:
    """Empty the folder, except for the mark and receipts; returns the names of what could not be removed.

    Tries more than once, since a running reader may add or remove files at any moment.
    """
    begin(home, slot_uri, owed)
    left: list[str] = []
    for _ in range(TRIES):
        for path in _to_clear(home):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
        left = [path.name for path in _to_clear(home)]
        if not left:
            if not (home / MARK).exists():
                begin(home, slot_uri, owed)  # there is room for it now
            break
        time.sleep(WAIT_S)
    return left


def _to_clear(home: Path) -> list[Path]:
    return sorted(path for path in home.iterdir() if path.name not in {MARK, destruction.FOLDER})


class _ClearedSlot:
    """Replaces the slot: it is empty and accepts nothing."""

    promise = "cleared by a factory reset"

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def read(self) -> bytes | None:
        """See SecureSlot.read."""
        return None

    def write(self, content: bytes) -> None:
        """See SecureSlot.write."""
        raise SlotFailedError(f"{self.uri}: the unit was reset ({len(content)} bytes refused): restart it")
