"""The key service: holds the day keys and store keys, and logs each use before it opens anything.

`ReceivingKeys` is for the receiver and the purge, `ContentKeys` for the guard; both can run on another
machine. Keys are in their own folder, one file per day, outside the database and its backups. A purge
destroys the file, and a restored backup shows nothing that was purged.

    day/<n>.key    P-256 private key whose public half went to the units; destroyed a year after its day
    store/<n>.key  AES-256 key of the day of receipt; destroyed by that day's purge
    hold/<n>.key   AES-256 key of a hold (463.8): what is held stays readable after its day's purge
    service.log    one line for every use, synced before the use
"""

from __future__ import annotations

import hmac
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import files, merkle, sealing
from storage.day_keys import DayKey, open_from_day
from storage.errors import StorageError
from storage.leaf import Leaf, log_id_of, unchecked
from storage.times import DAY_US, now_us
from sync.department.content.key_files import (
    day_files_before,
    der_of,
    destroy_file,
    destroy_for_good,
    is_there,
    load_p256,
    sealing_key,
    was_destroyed,
)
from sync.department.content.likeness import forms_of
from sync.department.content.sealed_elements import (
    numbers_of,
    opened,
    opened_by,
    signed_leaf,
    wrong_with_each,
)
from sync.department.content.search_tokens import (
    IndexedText,
    StoredElement,
    own_token,
    token_key,
    token_of,
    wrong_with_tokens,
)
from sync.department.content.use_log import UseLog
from sync.errors import KeyServiceError
from sync.messages import NO_DAY_KEY

log_events = structlog.get_logger("department.keys")
LOG_FILE = "service.log"
KEEP_DAYS = 365  # 463.8: at least a year, unless the policy says less
ONLY_TODAY = "content can be received only for today"  # the wording of every version of a remote service
NOT_OF_DAY = "this key service did not seal it before"
DAY_KEY_DAYS = 366  # an epoch may be uploaded up to a year later; then its private day key is destroyed
MOST_DAY_KEYS = 1000  # made in one call
MOST_DAYS = 4000  # asked about in one call: more than ten years
HOLD_NAME = re.compile(r"[0-9a-f]{16}-[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Kept:
    """An element sealed under the store key of its day of receipt, or why it could not be opened."""

    stored: bytes
    token: bytes | None = None
    refused: str | None = None

    def __repr__(self) -> str:
        return f"Kept({len(self.stored)} bytes{', refused' if self.refused else ''})"


class CheckingKeys(Protocol):
    """The calls of `verify`: whether content matches, never what it is. Logged first, as below."""

    def check_stored(self, day: int, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        """For each element of a day of receipt: None, or why it does not open as its leaf says."""

    def check_tokens(self, day: int, log_id: bytes, wanted: Sequence[IndexedText]) -> list[str | None]:
        """Check that each text has exactly its own search token in the store; answers as `check_stored`.

        The answer reveals no more than the table of tokens. Raises KeyServiceError, or OlderKeyServiceError
        if the service is too old to know this call.
        """

    def check_held(self, hold: str, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        """As `check_stored`, for elements under a hold's key."""

    def days_with_keys(self, days: Sequence[int]) -> set[int]:
        """Those of these days of receipt whose key has a file, intact or not.

        Raises KeyServiceError if that is unknown.
        """


class ReceivingKeys(CheckingKeys, Protocol):
    """The calls of the receiver, the purge and `verify`: content goes in, and none comes out in the clear.

    Every call is logged and synced before a key is used.
    """

    def issue_day_keys(self, first_day: int, count: int) -> tuple[DayKey, ...]:
        """Public day keys for `count` days from `first_day`; missing ones are made."""

    def open_and_reseal(
        self,
        day: int,
        public: bytes,
        epoch_keys: dict[int, tuple[bytes, bytes]],
        arrived: Sequence[StoredElement],
    ) -> list[Kept]:
        """Open elements, match them to their signed leaves, and seal them under the store key of `day`.

        public: the log's key, 32 bytes, which must have signed the leaves; each element is bound to its leaf.
        epoch_keys: epoch -> (day key id, sealed key). A single bad element is `refused`. A remote service
        does this only for today (ONLY_TODAY), by its own clock, give or take a day. Raises KeyServiceError if
        it cannot work at all.
        """

    def reseal_again(
        self,
        day: int,
        public: bytes,
        epoch_keys: dict[int, tuple[bytes, bytes]],
        arrived: Sequence[StoredElement],
    ) -> list[tuple[int, Kept]]:
        """As `open_and_reseal`, for elements that came before; returns each with its day of receipt.

        The day is `day`; a remote service knows which days it sealed elements for, and refuses anything else
        (NOT_OF_DAY). Raises as `check_tokens`.
        """

    def has_store_key(self, day: int) -> bool:
        """As `days_with_keys`, for one day."""

    def destroy_store_key(self, day: int) -> None:
        """Make the content of a day of receipt, with its tokens and backups, unreadable forever."""

    def destroy_day_keys_before(self, day: int) -> int:
        """Destroy the private day keys of all days before `day`; returns how many."""


class ContentKeys(Protocol):
    """The calls that open content. Only the guard (`key_guard.py`) has access. Logged first, as above."""

    def open_stored(
        self, why: str, day: int, log_id: bytes, wanted: Sequence[StoredElement]
    ) -> list[sealing.Opened]:
        """Open elements of one day of receipt, each only with its own leaf. `why` is logged."""

    def tokens(self, why: str, plate: str, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        """The search tokens of a plate, then of the forms that a reader may have written, by day of receipt.

        Days whose key no longer exists are left out.
        """

    def hold_stored(
        self, why: str, hold: str, day: int, log_id: bytes, wanted: Sequence[StoredElement]
    ) -> list[bytes]:
        """Open elements of one day of receipt and seal them under a hold's own key, made on first use."""

    def open_held(
        self, why: str, hold: str, log_id: bytes, wanted: Sequence[StoredElement]
    ) -> list[sealing.Opened]:
        """Open elements under a hold's key. Raises KeyServiceError if the key is gone."""

    def hold_keys(self) -> list[str]:
        """The holds whose key has a file, intact or not. Raises KeyServiceError if that is unknown."""

    def destroy_hold_key(self, why: str, hold: str) -> None:
        """Make everything under a hold's key unreadable forever; a missing key is not an error."""


class KeyService(ReceivingKeys, ContentKeys, Protocol):
    """Both sets of calls, in the process that holds the keys."""


class LocalKeyService:
    """Keys in a folder of this machine. In the server's process root can read content; `controls` says so."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], int] = now_us,
        *,
        keep_days: Callable[[], int] = lambda: KEEP_DAYS,
        makes: bool = True,
    ) -> None:
        """`clock`: the department's time, or this machine's; nothing is destroyed before `keep_days` by it.
        `makes`: make missing folders; False for programs that only read."""
        self._folder, self._clock, self._keep_days = folder, clock, keep_days
        for name in (folder, folder / "day", folder / "store", folder / "hold") if makes else ():
            name.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
        self._guard = threading.Lock()
        self._store: dict[int, bytes] = {}
        self._ids: dict[bytes, Path] = {}
        self._epochs: dict[tuple[bytes, int], tuple[bytes, bytes]] = {}
        self._log = UseLog(folder / LOG_FILE) if folder.is_dir() else None

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _write(self, use: str, **facts: object) -> None:
        if self._log is not None:  # otherwise there are no keys here to use
            self._log.write({"at_us": self._clock(), "use": use, **facts})

    # --- day keys --------------------------------------------------------------------------------------

    def issue_day_keys(self, first_day: int, count: int) -> tuple[DayKey, ...]:
        with self._guard, files.turn(self._folder / LOG_FILE):  # another process finds these and makes none
            self._write("issue_day_keys", first_day=first_day, count=count)
            made: list[DayKey] = []
            fresh: list[tuple[Path, bytes]] = []
            for day in range(first_day, first_day + count):
                path = self._folder / "day" / f"{day}.key"
                known = self._day_key(path)
                if known is not None:
                    made.append(DayKey.of(day, known))
                    continue
                private = ec.generate_private_key(ec.SECP256R1())
                fresh.append((path, der_of(private)))
                made.append(DayKey.of(day, private))
            with ThreadPoolExecutor(16) as pool:  # a year of keys takes one disk commit, not four hundred
                files.replace_together(fresh, self._folder / "day", pool)
        return tuple(made)

    def _day_key(self, path: Path) -> ec.EllipticCurvePrivateKey | None:
        """A day's key; None if there is none.

        A file without a key (after a power cut in an older version, before the key was given out) is set
        aside as `.damaged`, so that it blocks no other day, until its day's keys are destroyed."""
        try:
            return load_p256(path)
        except FileNotFoundError:
            return None
        except (ValueError, KeyServiceError):
            log_events.warning("key_damaged", file=path.name, cure="restore it if a backup has it")
            path.replace(path.with_suffix(".damaged"))
            files.sync_dir(path.parent)
            return None

    def _private(self, key_id: bytes) -> ec.EllipticCurvePrivateKey:
        """Find a private day key. Call it with the guard held, so that no key is destroyed meanwhile."""
        if key_id not in self._ids:
            for path in (self._folder / "day").glob("*.key"):
                key = self._day_key(path)
                if key is not None:
                    self._ids[DayKey.of(int(path.stem), key).key_id] = path
        path_of = self._ids.get(key_id)
        found = self._day_key(path_of) if path_of is not None else None
        if path_of is None or found is None or DayKey.of(int(path_of.stem), found).key_id != key_id:
            self._ids.pop(key_id, None)  # it was replaced or removed since
            raise KeyServiceError(NO_DAY_KEY)
        return found

    def _epoch_key(self, log_id: bytes, epoch: int, key_id: bytes, sealed: bytes) -> bytes:
        with self._guard:  # cached keys are dropped with the keys of old days
            known = self._epochs.get((log_id, epoch))
            if known is not None and hmac.compare_digest(known[0], sealed):
                return known[1]
            key = open_from_day(sealed, self._private(key_id), log_id, epoch)
            if len(self._epochs) > 4096:  # only a cache: two epochs a day for a few hundred units
                self._epochs.clear()
            self._epochs[log_id, epoch] = (sealed, key)
            return key

    # --- store keys ------------------------------------------------------------------------------------

    def _store_path(self, day: int) -> Path:
        return self._folder / "store" / f"{day}.key"

    def _store_key(self, day: int, *, make: bool) -> bytes:
        path = self._store_path(day)
        with self._guard:
            if day in self._store and path.exists():  # another process may have purged the day
                return self._store[day]
            if self._store.pop(day, None) is not None and not was_destroyed(path):
                raise KeyServiceError("is gone", where=str(path), cure="restore it from its backup")
            purged = f"the key of the day of receipt {day} is not here: purged"
            self._store[day] = sealing_key(path, make=make, lost=purged)
            return self._store[day]

    def days_with_keys(self, days: Sequence[int]) -> set[int]:
        return {day for day in days if is_there(self._store_path(day))}

    def has_store_key(self, day: int) -> bool:
        return is_there(self._store_path(day))

    def open_and_reseal(
        self,
        day: int,
        public: bytes,
        epoch_keys: dict[int, tuple[bytes, bytes]],
        arrived: Sequence[StoredElement],
    ) -> list[Kept]:
        if not arrived:
            return []
        opened = {data: signed_leaf(data, public) for data in {one.leaf for one in arrived}}
        numbers = [leaf.sequence for leaf in opened.values() if isinstance(leaf, Leaf)]
        log_id = log_id_of(Ed25519PublicKey.from_public_bytes(public))
        self._write(
            "reseal",
            day=day,
            log=log_id.hex()[:16],
            elements=len(arrived),
            first=min(numbers, default=-1),
            last=max(numbers, default=-1),
        )
        store = self._store_key(day, make=True)
        seal_again = _Resealing(
            store=store,
            token_key=token_key(store),
            epoch_key=lambda leaf: self._find_epoch(leaf, epoch_keys),
        )
        return [seal_again.one(one, opened[one.leaf]) for one in arrived]

    def reseal_again(
        self,
        day: int,
        public: bytes,
        epoch_keys: dict[int, tuple[bytes, bytes]],
        arrived: Sequence[StoredElement],
    ) -> list[tuple[int, Kept]]:
        return [(day, kept) for kept in self.open_and_reseal(day, public, epoch_keys, arrived)]

    def _find_epoch(self, leaf: Leaf, epoch_keys: dict[int, tuple[bytes, bytes]]) -> bytes:
        if leaf.epoch not in epoch_keys:
            raise KeyServiceError("the key of its epoch was not sent")
        return self._epoch_key(leaf.log_id, leaf.epoch, *epoch_keys[leaf.epoch])

    def open_stored(
        self, why: str, day: int, log_id: bytes, wanted: Sequence[StoredElement]
    ) -> list[sealing.Opened]:
        self._write("open", why=why, day=day, log=log_id.hex()[:16], records=numbers_of(wanted))
        key = self._store_key(day, make=False)
        return [opened(key, log_id, one) for one in wanted]

    def check_stored(self, day: int, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        self._write("check", day=day, log=log_id.hex()[:16], elements=len(wanted))
        return wrong_with_each(self._store_key(day, make=False), log_id, wanted)

    def check_tokens(self, day: int, log_id: bytes, wanted: Sequence[IndexedText]) -> list[str | None]:
        self._write("check_tokens", day=day, log=log_id.hex()[:16], elements=len(wanted))
        key = self._store_key(day, make=False)
        tokens_under = token_key(key)
        found: list[str | None] = []
        for one in wanted:
            try:
                leaf = unchecked(one.text.leaf)
                content = bytes(opened_by(leaf, key, log_id, one.text).content)
                found.append(wrong_with_tokens(tokens_under, leaf, one, content))
            except StorageError as error:
                found.append(error.what)
        return found

    def check_held(self, hold: str, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        self._write("check_held", hold=hold, log=log_id.hex()[:16], elements=len(wanted))
        return wrong_with_each(self._hold_key(hold, make=False), log_id, wanted)

    def tokens(self, why: str, plate: str, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        self._write("tokens", why=why, days=len(days))
        forms = forms_of(plate)
        found = {}
        for day in days:
            if self._store_path(day).exists():  # a damaged key is an error; its day is not skipped
                key = token_key(self._store_key(day, make=False))
                found[day] = tuple(token_of(key, form) for form in forms)
        return found

    # --- holds -----------------------------------------------------------------------------------------

    def _hold_path(self, hold: str) -> Path:
        if not HOLD_NAME.fullmatch(hold):
            raise KeyServiceError("a hold is named by log and entry")
        return self._folder / "hold" / f"{hold}.key"

    def _hold_key(self, hold: str, *, make: bool) -> bytes:
        path = self._hold_path(hold)
        with self._guard:
            return sealing_key(path, make=make, lost="the key of this hold is not here: released")

    def hold_stored(
        self, why: str, hold: str, day: int, log_id: bytes, wanted: Sequence[StoredElement]
    ) -> list[bytes]:
        opened = self.open_stored(f"{why}: hold {hold}", day, log_id, wanted)
        key = self._hold_key(hold, make=True)
        return [
            sealing.seal(key, merkle.leaf_hash(one.leaf), unchecked(one.leaf).sequence, element).stored
            for one, element in zip(wanted, opened, strict=True)
        ]

    def open_held(
        self, why: str, hold: str, log_id: bytes, wanted: Sequence[StoredElement]
    ) -> list[sealing.Opened]:
        self._write("open_held", why=why, hold=hold, log=log_id.hex()[:16], records=numbers_of(wanted))
        key = self._hold_key(hold, make=False)
        return [opened(key, log_id, one) for one in wanted]

    def hold_keys(self) -> list[str]:
        here = (self._folder / "hold").glob("*.key")
        return sorted(path.stem for path in here if HOLD_NAME.fullmatch(path.stem) and is_there(path))

    def destroy_hold_key(self, why: str, hold: str) -> None:
        path = self._hold_path(hold)
        with self._guard:
            self._write("destroy_hold_key", why=why, hold=hold)
            destroy_for_good(path)

    # --- destruction -----------------------------------------------------------------------------------

    def destroy_store_key(self, day: int) -> None:
        keep_days = self._keep_days()
        if self._clock() < (day + 1 + keep_days) * DAY_US:
            raise KeyServiceError(
                f"the content of the day of receipt {day} has not been kept for {keep_days} days "
                "by the clock of the key service",
                where="key service",
                cure="463.8: a year from receipt, no less",
            )
        with self._guard:
            self._write("destroy_store_key", day=day)
            self._store.pop(day, None)
            destroy_for_good(self._store_path(day))

    def destroy_day_keys_before(self, day: int) -> int:
        day = min(day, self._clock() // DAY_US - DAY_KEY_DAYS)  # never earlier, for any caller
        with self._guard:
            old = day_files_before(self._folder / "day", day)
            if old:
                self._write("destroy_day_keys", before=day, count=len(old))
            self._ids.clear()
            self._epochs.clear()
            failed = list[KeyServiceError]()
            for path in old:
                try:
                    destroy_file(path)
                except KeyServiceError as error:  # the others are destroyed all the same
                    failed.append(error)
        if failed:
            raise failed[0]
        return len(old)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resealing:
    """Reseals elements of one log under a store key."""

    store: bytes
    token_key: bytes
    epoch_key: Callable[[Leaf], bytes]

    def one(self, arrived: StoredElement, leaf: Leaf | str) -> Kept:
        if isinstance(leaf, str):
            return Kept(b"", refused=leaf)
        name, mark = arrived.name, leaf.elements.get(arrived.name)
        if mark is None:
            return Kept(b"", refused="its leaf names no such element")
        try:
            content, stored = sealing.reseal(
                self.epoch_key(leaf),
                self.store,
                leaf.log_id,
                leaf.sequence,
                name,
                arrived.stored,
                mark.commitment,
                kept_as=merkle.leaf_hash(arrived.leaf),
            )
            token = own_token(self.token_key, leaf, name, bytes(content))
        except (StorageError, KeyServiceError) as error:
            return Kept(b"", refused=error.what)
        return Kept(stored, token)
