"""A ledger on disk with a chip stand-in outside the home, and a clock to step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hw.clock import ClockState, SetClock, UtcTime
from hw.secure_slot import LoopbackSlot
from storage.ledger import Ledger
from storage.records import Read

START_US = 1_780_000_000_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
PLATE = "7XKR219"
PATCH = b"\xff\xd8patch-bytes-that-must-never-lie-open" * 20
OVERVIEW = b"\xff\xd8overview-bytes-that-must-never-lie-open" * 30


class SteppedTime:
    """Wall clock and boot time that move together, or apart where a test wants it."""

    def __init__(self, us: int = START_US) -> None:
        self.clock = SetClock(us)
        self.boot_us = 1_000_000

    def now(self) -> UtcTime:
        return self.clock.now()

    def boot(self) -> int:
        return self.boot_us

    def run(self, us: int) -> None:
        """Time passes for the unit."""
        self.clock.step(us)
        self.boot_us += us

    def jump(self, us: int) -> None:
        """The wall clock alone is set."""
        self.clock.step(us)

    def lose(self, state: ClockState = ClockState.HOLDOVER) -> None:
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
        "clock_state": "disciplined",
        "camera": "north",
        "frames_voted": 9,
        "plate_box": (10.0, 20.0, 90.0, 40.0),
        "corners": ((10.0, 20.0), (100.0, 20.0), (100.0, 60.0), (10.0, 60.0)),
        "models": (("plate-reader", bytes(32)),),
        "software": "0.1.0",
    }
    from storage.records import ClockState as StorageClockState

    facts["clock_state"] = StorageClockState.DISCIPLINED
    return Read(**(facts | changes))  # type: ignore[arg-type]


def add_reads(ledger: Ledger, time: SteppedTime, count: int, *, hit: bool = False, text: str = PLATE) -> list[int]:
    """Store reads a second apart; their sequence numbers."""
    sequences = []
    for _ in range(count):
        time.run(1_000_000)
        ref = ledger.append_read(
            make_read(time.now().us, text), patch=PATCH, overview=OVERVIEW, hit=hit
        )
        sequences.append(ref.sequence)
    return sequences


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
def ledger(home: Path, slot: LoopbackSlot, time: SteppedTime) -> Iterator[Ledger]:
    made = Ledger.create(home, slot, time, boot=time.boot)
    yield made
    if not made.closed:
        made.close()


Reopen = Callable[[], Ledger]


@pytest.fixture
def reopen(home: Path, slot: LoopbackSlot, time: SteppedTime) -> Iterator[Reopen]:
    """Open the home again as a new process would: boot time starts again."""
    opened: list[Ledger] = []

    def again() -> Ledger:
        opened.append(Ledger.open(home, slot, time, boot=time.boot))
        return opened[-1]

    yield again
    for one in opened:
        if not one.closed:
            one.close()
