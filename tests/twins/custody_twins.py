"""For tests of custody: a ledger on disk, a chip's twin outside the home, and a clock to step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from hw.clock import SetClock, TimeState, UtcTime
from hw.secure_slot import LoopbackSlot, SecureSlot
from storage import access, codec, envelope, receipts, search, ssh_signature
from storage.checkpoint import NoteKey, cosign
from storage.day_keys import DayKey, DayKeys
from storage.door import Door, subject_of
from storage.findings import UnitReport
from storage.home import Home
from storage.ledger import Ledger
from storage.outgoing import Outgoing
from storage.policy import CustodyPolicy
from storage.read_records import Read
from storage.slot import load_slot
from storage.standing import DAY_KEYS, POLICY, UnitEnrollment, context_of
from storage.verify import verify_home

START_US = 1_780_000_000_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
PLATE = "7XKR219"
PATCH = b"\xff\xd8patch-bytes-that-must-never-lie-open" * 20
OVERVIEW = b"\xff\xd8overview-bytes-that-must-never-lie-open" * 30


class SteppedTime:
    """Wall clock and boot time, which a test can move together or apart."""

    def __init__(self, us: int = START_US) -> None:
        self.clock = SetClock(us)
        self.boot_us = 1_000_000

    def now(self) -> UtcTime:
        return self.clock.now()

    def boot(self) -> int:
        return self.boot_us

    def run(self, us: int) -> None:
        """Let time pass: move both."""
        self.clock.step(us)
        self.boot_us += us

    def jump(self, us: int) -> None:
        """Set only the wall clock."""
        self.clock.step(us)

    def lose(self, state: TimeState = TimeState.HOLDOVER) -> None:
        self.clock.lose_reference(state)


def make_read(at_us: int = START_US, text: str = PLATE, **changes: object) -> Read:
    facts: dict[str, object] = {
        "text": text,
        "confidence": 0.93,
        "jurisdiction": "US-CA",
        "slots": bytes(37 * 4 * 7),
        "candidates": ((text, 0.93),),
        "direction": "towards",
        "first_us": at_us,
        "last_us": at_us + 400_000,
        "time_error_us": 900,
        "clock_state": TimeState.DISCIPLINED,
        "camera": "north",
        "frames_voted": 9,
        "plate_box": (10.0, 20.0, 90.0, 40.0),
        "corners": ((10.0, 20.0), (100.0, 20.0), (100.0, 60.0), (10.0, 60.0)),
        "models": (("plate-reader", bytes(32)),),
        "software": "0.1.0",
    }
    return Read(**(facts | changes))  # type: ignore[arg-type]


def add_reads(
    ledger: Ledger, time: SteppedTime, count: int, *, hit: bool = False, text: str = PLATE
) -> list[int]:
    """Store reads a second apart. Returns their sequence numbers."""
    sequences = []
    for _ in range(count):
        time.run(1_000_000)
        ref = ledger.append_read(make_read(time.now().us, text), patch=PATCH, overview=OVERVIEW, hit=hit)
        sequences.append(ref.sequence)
    return sequences


def ask_signed(
    door: Door, ledger: Ledger, user: str, role: str, action: str, subject: str, **changes: str
) -> dict[str, Any]:
    """The body of a request, signed with a demo user's key file."""
    facts = {"purpose": "investigation", "case_number": "26-0815"} | changes
    request = access.Request(action=action, user=user, role=role, subject=subject, **facts)
    given = door.answer("challenge", {})
    path = ledger.store.home.people / user
    if not path.is_file():
        return {"request": codec.to_plain(request), "proof": None}
    key = load_ssh_private_key(path.read_bytes(), None)
    message = access.challenge(given["log_id"], given["nonce"], request)
    signature = ssh_signature.sign(message, key, namespace=access.NAMESPACE)  # type: ignore[arg-type]
    proof = access.Proof(nonce=given["nonce"], signature=signature, password=None)
    return {"request": codec.to_plain(request), "proof": codec.to_plain(proof)}


def query_body(
    door: Door,
    ledger: Ledger,
    plate: str | None = PLATE,
    user: str = "demo-supervisor",
    role: str = "ccat-supervisor",
    **changes: str,
) -> dict[str, Any]:
    """A whole query of a demo user."""
    query = search.UnitQuery(plate=plate, since_us=0, until_us=(1 << 62) - 1)
    body = ask_signed(door, ledger, user, role, "query", subject_of(query), **changes)
    return body | {"query": codec.to_plain(query)}


def check(home: Path, slot: SecureSlot | None = None, department: NoteKey | None = None) -> UnitReport:
    """The verdict on a home, with its slot and its department's key if they are given."""
    return verify_home(Home(home), None, None if slot is None else load_slot(slot), department)


class Department:
    """The keys that a department holds, and the files that it signs for its unit."""

    def __init__(self) -> None:
        self.command, self.log = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self.day = ec.generate_private_key(ec.SECP256R1())

    @property
    def note_key(self) -> NoteKey:
        return NoteKey("department.example/log", self.log.public_key())

    def enroll(self, ledger: Ledger, **policy: object) -> None:
        ledger.standing.enroll(
            UnitEnrollment(
                version=1,
                organisation="Monrovia PD",
                unit="unit-7",
                command_key=self.command.public_key().public_bytes_raw(),
                department=self.note_key.text(),
            )
        )
        self.send(ledger, DAY_KEYS, DayKeys(version=1, keys=(DayKey.of(40_000, self.day),)))
        self.send(ledger, POLICY, CustodyPolicy(version=1, organisation="Monrovia PD", **policy))  # type: ignore[arg-type]

    def cosign(self, ledger: Ledger) -> None:
        """Co-sign the unit's newest checkpoint, as the receiver does."""
        out = Outgoing(ledger)
        time_s = ledger.store.time.now().us // 1_000_000
        out.take_cosigned(cosign(out.head(), self.note_key.name, self.log, time_s=time_s))

    def receipt(self, ledger: Ledger, first: int, last: int) -> None:
        """A receipt for the leaves from first to last, inclusive."""
        Outgoing(ledger).take_receipt(self.receipt_for(ledger, [[first, last]]))

    def receipt_for(self, ledger: Ledger, ranges: list[list[int]], **changes: object) -> bytes:
        """A signed receipt for this log as it is now, unless a test changes a field."""
        frontier = ledger.store.log.frontier
        facts: dict[str, object] = {
            "log_id": ledger.store.log_id, "ranges": ranges, "size": frontier.size, "root": frontier.root()
        }  # fmt: skip
        return envelope.sign(envelope.encode(facts | changes), self.log, context=receipts.CONTEXT)

    def send(self, ledger: Ledger, name: str, document: object, key: Ed25519PrivateKey | None = None) -> None:
        signed = envelope.sign(codec.to_bytes(document), key or self.command, context=context_of(name))
        Outgoing(ledger).take_document(name, signed)


def age(ledger: Ledger, time: SteppedTime, days: int) -> None:
    """Let this many days pass; the store sees each of them."""
    for _ in range(days):
        time.run(DAY_US)
        ledger.store.time.now()


@pytest.fixture
def time() -> SteppedTime:
    return SteppedTime()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def slot(tmp_path: Path) -> LoopbackSlot:
    return LoopbackSlot(tmp_path / "chip")


@pytest.fixture
def door(ledger: Ledger, time: SteppedTime) -> Door:
    return Door(ledger, boot=time.boot)


@pytest.fixture
def ledger(home: Path, slot: LoopbackSlot, time: SteppedTime) -> Iterator[Ledger]:
    made = Ledger.create(home, slot, time, boot=time.boot)
    yield made
    if not made.closed:
        made.close()


Reopen = Callable[[], Ledger]


@pytest.fixture
def reopen(home: Path, slot: LoopbackSlot, time: SteppedTime) -> Iterator[Reopen]:
    """Open the home again as a new process after a reboot would: boot time starts over."""
    opened: list[Ledger] = []

    def again() -> Ledger:
        opened.append(Ledger.open(home, slot, time, boot=time.boot))
        return opened[-1]

    yield again
    for one in opened:
        if not one.closed:
            one.close()
