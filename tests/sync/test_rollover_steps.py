"""When a log rolls over, when it does not, and what the new one learns."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sync_twins import Unit
from waiting import until

from storage import codec, envelope, files
from storage.day_keys import DayKey, DayKeys, EpochKeyForDay
from storage.errors import (
    DamagedError,
    LedgerError,
    NoHomeError,
    OutdatedError,
    RecordError,
    RolledBackError,
    SlotError,
    StoreFullError,
)
from storage.ledger import Ledger
from storage.salvage import Salvage
from storage.standing import DAY_KEYS, DOCUMENTS, context_of
from sync import messages, rollover
from sync.membership import Member, SyncFolder
from sync.rollover import last_set_aside, looked_at, open_or_roll_over, roll_over

KEY = Ed25519PrivateKey.generate()
MEMBER = Member(
    department="Bend PD", unit_id="0" * 32, name="unit", unit_address="a:1", front_address="a:1",
    department_key=KEY.public_key().public_bytes_raw(), command_key=KEY.public_key().public_bytes_raw(),
    authority=b"", root=bytes(32),
)  # fmt: skip
FIRST, *OTHERS = sorted(DOCUMENTS)


class Card:
    """A home with some files, and a slot. `error`: its ledger's; `succeeded`: what a new log learned."""

    def __init__(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, *, member: bool, chip: bool = True
    ) -> None:
        self.home, self.folder = path / "home", SyncFolder.of(path / "home")
        self.slot: Any = SimpleNamespace(uri="pkcs11:" if chip else "file:slot", read=lambda: None)
        self.error: Exception | None = None
        self.succeeded: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.folder.make()
        if member:
            self.folder.save_member(MEMBER)

        def opened(*_: object) -> str:
            if self.error is not None:
                raise self.error
            return "the log"

        monkeypatch.setattr(rollover, "_whole", lambda ledger, _folder: ledger)

        def new(*_: object, **facts: object) -> str:
            self.succeeded.append(facts)
            return "a new log"

        monkeypatch.setattr(Ledger, "open", opened)
        monkeypatch.setattr(rollover, "roll_over", new)

    def holds(self, *names: str) -> None:
        for name in names:
            path = (
                self.folder.path / "old" / "one" / "store" if name == "aside" else self.home / "store" / name
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if name == "aside" else path.touch()

    def open(self) -> str:
        clock: Any = SimpleNamespace(now=lambda: SimpleNamespace(us=1))
        return cast(
            str, open_or_roll_over(self.home, self.slot, clock, self.folder, on_new_log=self.told.append)
        )


@pytest.mark.parametrize("member", [True, False])
@pytest.mark.parametrize("chip", [True, False])
@pytest.mark.parametrize(
    ("error", "by_chip"),
    [(RolledBackError, True), (DamagedError, True), (SlotError, False), (LedgerError, None), (None, None)],
)
def test_a_log_gives_way_where_its_card_failed_and_not_where_its_chip_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None, by_chip: bool | None,
    chip: bool, member: bool,
) -> None:  # fmt: skip
    """by_chip: whether it rolls over even if a chip anchors it; None: it never does."""
    card = Card(tmp_path, monkeypatch, member=member, chip=chip)
    card.holds("ledger.sqlite3")
    if error is None:
        assert card.open() == "the log"
        return
    card.error = error("the reason")
    if by_chip is not None and member and (by_chip or not chip):
        assert card.open() == "a new log"
        assert card.told == ["the reason"]
        assert card.succeeded == [{"previous": None, "reason": "the reason", "start": None}]
        return
    with pytest.raises(error, match="the reason"):
        card.open()
    assert (card.told, card.succeeded) == ([], [])


GONE = "its ledger is gone, and no picture of a read is here"
CUT = "the log before was set aside, and a power cut came before this one was open"


@pytest.mark.parametrize(
    ("holds", "member", "outcome"),
    [
        ((), True, GONE), ((), False, NoHomeError),
        (("aside",), True, CUT), (("aside",), False, CUT),
        (("blobs/1",), True, "the slot is another"), (("blobs/1",), False, DamagedError),
        (("blobs/1", "aside"), False, CUT), (("blobs/1", "aside"), True, "the slot is another"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_home_decides_how_it_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holds: tuple[str, ...], member: bool,
    outcome: str | type[Exception],
) -> None:  # fmt: skip
    card = Card(tmp_path, monkeypatch, member=member)
    card.error = DamagedError("the slot is another")
    card.holds(*holds)
    if isinstance(outcome, str):
        assert card.open() == "a new log"
        assert card.told == [outcome]
        return
    with pytest.raises(outcome):
        card.open()
    assert card.succeeded == []


@pytest.mark.parametrize("readable", [True, False])
def test_what_can_be_had_of_the_old_log_goes_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    def saved(home: Any, _slot: object, keys: object, *, now_us: int) -> Salvage:
        assert (home.root, keys, now_us) == (card.folder.path / "old" / "one", (), 1)
        if not readable:
            raise sqlite3.DatabaseError("malformed")
        key = EpochKeyForDay(epoch=4, day_key=bytes(32), sealed=bytes(113))
        return Salvage(log_id=b"\1" * 32, keys=(key,), previous="the last anchor")

    card = Card(tmp_path, monkeypatch, member=True)
    card.holds("aside")
    monkeypatch.setattr(rollover, "salvage", saved)
    card.open()
    assert [one["previous"] for one in card.succeeded] == ["the last anchor" if readable else None]
    kept = card.folder.path / "old" / ("01" * 8) / "keys.cbor"
    assert kept.exists() is readable
    if readable:
        assert [key.epoch for key in codec.from_bytes(messages.ParcelHeader, kept.read_bytes()).keys] == [4]


def test_the_log_that_was_set_aside_last_is_continued(tmp_path: Path) -> None:
    folder = SyncFolder.of(tmp_path)
    stores = []
    for name in ("b", "c", "a"):
        stores.append(folder.path / "old" / name / "store")
        stores[-1].mkdir(parents=True)

        def newest() -> bool:
            stores[-1].chmod(0o700)  # file times may be equal for some milliseconds
            return all(stores[-1].stat().st_ctime_ns > one.stat().st_ctime_ns for one in stores[:-1])

        until(newest)
    found = last_set_aside(folder)
    assert found is not None
    assert found.root == stores[-1].parent


def test_a_look_is_noted_before_any_log_was_closed_too(tmp_path: Path) -> None:
    for _ in range(2):
        looked_at(SyncFolder(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b" / "old" / "looked-at").read_bytes() == b""


def test_the_folder_of_a_look_lasts_with_each_folder_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut removes the name of a folder that was made but not synced."""
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_dir", synced.append)
    looked_at(SyncFolder(tmp_path / "a" / "b"))
    assert [tmp_path, tmp_path / "a", tmp_path / "a" / "b"] == synced[:3]


@pytest.mark.parametrize(("signer", "found"), [(KEY, 1), (Ed25519PrivateKey.generate(), 0), (None, 0)])
def test_day_keys_count_as_the_department_signed_them(
    tmp_path: Path, signer: Ed25519PrivateKey | None, found: int
) -> None:
    folder = SyncFolder(tmp_path)
    folder.save_member(MEMBER)
    folder.inbox.mkdir()
    if signer is not None:
        point = (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        )
        keys = DayKeys(version=1, keys=(DayKey(day=1, point=point),))
        signed = envelope.sign(codec.to_bytes(keys), signer, context=context_of(DAY_KEYS))
        (folder.inbox / f"{DAY_KEYS}.cbor").write_bytes(signed)
    assert len(rollover._day_keys(folder)) == found


@pytest.mark.parametrize(
    ("error", "passes"),
    [(OutdatedError, True), (RecordError, True), (OSError, True), (StoreFullError, False), (None, True)],
)
def test_a_new_log_learns_its_department_and_what_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None, passes: bool
) -> None:
    told: list[Any] = []

    def take(name: str, data: bytes) -> None:
        if error is not None and name == OTHERS[0]:
            raise error("no")
        told.append((name, data))

    outbox = SimpleNamespace(take_membership=told.append, take_document=take)
    monkeypatch.setattr(rollover, "LedgerOutbox", lambda _ledger, _inbox: outbox)
    folder = SyncFolder(tmp_path)
    folder.inbox.mkdir()
    for name in OTHERS:  # the first was never made
        (folder.inbox / f"{name}.cbor").write_bytes(name.encode())
    ledger = cast(Ledger, SimpleNamespace(store=SimpleNamespace(adding=contextlib.nullcontext)))
    if not passes:
        with pytest.raises(StoreFullError):
            rollover._take_over(ledger, MEMBER, folder)
        return
    rollover._take_over(ledger, MEMBER, folder)
    assert (told[0].organisation, told[0].unit) == ("Bend PD", MEMBER.unit_id)
    assert told[0].command_key == MEMBER.command_key
    there = OTHERS if error is None else OTHERS[1:]
    assert sorted(told[1:]) == [(name, name.encode()) for name in there]


def test_the_folder_of_a_membership_lasts_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_dir", synced.append)
    folder = SyncFolder.of(tmp_path / "new" / "home")
    folder.make()
    folder.make()
    assert synced == [tmp_path, tmp_path / "new", tmp_path / "new" / "home"]
    assert folder.path.stat().st_mode & 0o777 == files.PRIVATE_DIR


# --- with a ledger --------------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    made = Unit(tmp_path)
    made.folder.make()
    made.folder.save_member(MEMBER)
    yield made
    made.close()


def test_a_new_log_has_the_reason_and_the_old_one_a_lasting_place(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    between: list[Path] = []  # synced after the old log is set aside and before the new one has its name
    old = unit.folder.path / "old"

    def note(path: Path) -> None:
        if any(old.glob("*/store")) and not (unit.home / "store").exists():
            between.append(path)

    unit.ledger.close()
    monkeypatch.setattr(files, "sync_dir", note)
    unit.ledger = roll_over(unit.home, unit.slot, unit.clock, unit.folder, previous=None, reason="x" * 501)
    assert unit.outbox.opened_because() == (None, "x" * 500)
    [store] = old.glob("*/store")
    assert between == [store.parent, unit.home]  # its new name is durable before its old one is removed
    assert store.parent.stat().st_mode & 0o777 == files.PRIVATE_DIR


def test_a_log_whose_name_cannot_be_read_gets_one_that_no_other_has(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (1, 2):
        unit.ledger.close()
        (unit.home / "store" / "log.pub").write_bytes(b"?")
        monkeypatch.setattr(rollover, "now_us", lambda at=count: at)
        unit.ledger = roll_over(unit.home, unit.slot, unit.clock, unit.folder, previous=None, reason="x")
        assert len(list((unit.folder.path / "old").glob("*/store"))) == count


def test_a_new_log_that_could_not_learn_its_department_is_closed_again(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a full card")

    unit.ledger.close()
    monkeypatch.setattr(rollover, "_take_over", fail)
    with pytest.raises(RuntimeError, match="a full card"):
        roll_over(unit.home, unit.slot, unit.clock, unit.folder, previous=None, reason="x")
    unit.reopen()  # nothing keeps it open
