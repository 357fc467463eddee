"""The bench of `make image-test`: one unit, one department, one card, and the result of each step.

A failed step is reported, and the story continues if it can. The results are written after every step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from alpr_image.bench.machine import VirtualMachine, vfat_disk
from alpr_image.image import Built
from alpr_image.keys import KeyFolder
from alpr_image.workshop import PROJECT, BuildError, Workshop, run
from hw.errors import HardwareError
from tests.tools.rehearsal import Silence

CLIP = PROJECT / "tests/replay/drive_by"
CARD_MIB = 4096
SHORT_CLIP = 8  # frames: enough for a reader to start, read and stay up


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step: whether it passed, and what was seen."""

    step: str
    good: bool
    facts: str
    seconds: float

    def line(self) -> str:
        """A row of the table of results."""
        result = "passed" if self.good else "FAILED"
        return f"| {self.step} | {result} | {self.seconds / 60:.1f} | {self.facts} |"


@dataclass(slots=True)
class BenchStory:
    """The bench: one unit, one department, one card. `seen` grows with every step."""

    shop: Workshop
    keys: KeyFolder
    show: Callable[[str], None]
    folder: Path = field(init=False)
    seen: list[StepResult] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder = self.shop.folder("bench")

    # -- set-up

    def fresh_unit(self, built: Built, name: str = "unit") -> tuple[VirtualMachine, Path]:
        """A machine with a new chip and firmware, and a card as it comes from the build."""
        return self.machine(name), self.grown(built.card, self.folder / f"{name}.card")

    def machine(self, name: str) -> VirtualMachine:
        """A machine with a new chip and firmware."""
        run(["rm", "-rf", self.folder / name])
        return VirtualMachine(self.shop, self.folder / name, keys=self.keys)

    @staticmethod
    def grown(image: Path, card: Path) -> Path:
        """A card with this image, and with room for the unit's own partition after it."""
        run(["cp", "--sparse=always", image, card])
        run(["truncate", "-s", f"{CARD_MIB}M", card])
        return card

    def last_unit(self) -> tuple[VirtualMachine, Path]:
        """The last run's unit in its last state. Raises BuildError."""
        card = self.folder / "unit.card"
        if not card.exists():
            raise BuildError(f"{card} is not there: begin with the part `visit`")
        return VirtualMachine(self.shop, self.folder / "unit", keys=self.keys), card

    def clip_disk(self, *, frames: int | None = None) -> Path:
        """The disk that replaces the camera: the clip, or its first frames."""
        chosen = sorted(CLIP.glob("*.jpg"))[:frames]
        out = self.folder / f"source-{len(chosen)}.img"
        return vfat_disk(self.shop, "ALPR-SOURCE", {path.name: path for path in chosen}, out, mib=8)

    def stick(self, *updates: Path) -> Path:
        """A technician's stick with update files."""
        files = {path.name: path for path in updates}
        mib = sum(path.stat().st_size for path in updates) // (1 << 20) + 24
        return vfat_disk(self.shop, "ALPR-STICK", files, self.folder / "stick.img", mib=max(48, mib))

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Run one step; append what was seen to the list. An error of the bench fails the step."""
        facts: list[str] = []
        begun = time.monotonic()
        try:
            yield facts
            good = True
        except (BuildError, Silence, HardwareError, OSError) as error:
            facts.append(" ".join(str(error).split())[-600:])
            good = False
        self.seen.append(StepResult(name, good, "; ".join(facts), time.monotonic() - begun))
        self.show(
            f"{'ok   ' if good else 'WRONG'} {self.seen[-1].seconds:6.0f} s  {name}: {self.seen[-1].facts}"
        )
        self.write()

    @property
    def good(self) -> bool:
        """Whether every step has passed."""
        return bool(self.seen) and all(one.good for one in self.seen)

    def write(self) -> Path:
        """Write the steps as JSON and as a table for the page."""
        (self.folder / "story.json").write_text(json.dumps([asdict(one) for one in self.seen], indent=1))
        out = self.folder / "story.md"
        passed = sum(one.good for one in self.seen)
        lines = [
            f"{passed} of {len(self.seen)} steps passed, {(time.monotonic() - self.begun) / 60:.0f} minutes.",
            "",
            "| step | result | minutes | seen |",
            "|---|---|---|---|",
            *(one.line() for one in self.seen),
        ]
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return out


def clip_texts() -> list[str]:
    """The plate texts in the clip."""
    truth = json.loads((CLIP / "truth.json").read_text())
    return sorted(str(one["text"]) for one in truth["vehicles"])
