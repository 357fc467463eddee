"""`make image-test`: one unit's life under QEMU, step by step, each with what was seen.

Every wait has a limit of its own. A step that fails is told and the story goes on where it can.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from alpr_image.bench.card import data_folder
from alpr_image.bench.machine import Machine, vfat_disk
from alpr_image.bench.office import PERSON, Office
from alpr_image.image import Built
from alpr_image.keys import KeyFolder
from alpr_image.workshop import PROJECT, BuildError, Workshop, run
from tests.tools.rehearsal import Hands, Silence

CLIP = PROJECT / "tests/replay/drive_by"
CARD_MIB = 4096
PROMPT_LIMIT_S = 420.0
CLIP_LIMIT_S = 900.0
COMMAND_LIMIT_S = 240.0
_CHALLENGE = re.compile(r"[A-Za-z0-9._@-]+:[a-z2-7]{32}:[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class Seen:
    """One step: did it hold, and what was seen."""

    step: str
    good: bool
    told: str
    seconds: float


@dataclass(slots=True)
class Story:
    """The bench: one unit, one department, one card. `seen` grows with every step."""

    shop: Workshop
    keys: KeyFolder
    tell: Callable[[str], None]
    folder: Path = field(init=False)
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.shop.folder("bench")

    # -- set-up

    def fresh_unit(self, built: Built, name: str = "unit") -> tuple[Machine, Path]:
        """A machine with a new chip and firmware, and a card as it comes from the build."""
        run(["rm", "-rf", self.folder / name])
        card = self.folder / f"{name}.card"
        run(["cp", "--sparse=always", built.card, card])
        run(["truncate", "-s", f"{CARD_MIB}M", card])
        return Machine(self.shop, self.folder / name, keys=self.keys), card

    def clip_disk(self) -> Path:
        """The disk that stands for the camera."""
        frames = {path.name: path for path in CLIP.glob("*.jpg")}
        return vfat_disk(self.shop, "ALPR-SOURCE", frames, self.folder / "source.img", mib=8)

    def stick(self, *updates: Path) -> Path:
        """A technician's stick with update files."""
        files = {path.name: path for path in updates}
        mib = sum(path.stat().st_size for path in updates) // (1 << 20) + 24
        return vfat_disk(self.shop, "ALPR-STICK", files, self.folder / "stick.img", mib=max(48, mib))

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """One step; what is appended to the list is what was seen. An error of the bench fails the step."""
        told: list[str] = []
        begun = time.monotonic()
        try:
            yield told
            good = True
        except (BuildError, Silence) as error:
            told.append(" ".join(str(error).split())[-600:])
            good = False
        self.seen.append(Seen(name, good, "; ".join(told), time.monotonic() - begun))
        self.tell(
            f"{'ok   ' if good else 'WRONG'} {self.seen[-1].seconds:6.0f} s  {name}: {self.seen[-1].told}"
        )

    def write(self) -> Path:
        """The steps as JSON, for the page."""
        out = self.folder / "story.json"
        out.write_text(json.dumps([asdict(one) for one in self.seen], indent=1))
        return out


def clip_texts() -> list[str]:
    """What stands on the plates of the clip."""
    truth = json.loads((CLIP / "truth.json").read_text())
    return sorted(str(one["text"]) for one in truth["vehicles"])


def first_start(story: Story, built: Built) -> tuple[Machine, Path]:
    """From the flashed card to a read clip and a verified store; the unit is enrolled in no department."""
    machine, card = story.fresh_unit(built)
    clip = story.clip_disk()
    begun = time.monotonic()
    with machine.running(f"file={card},format=raw", disks=(clip,)) as hands:
        with story.step("boots to the console's prompt") as told:
            hands.wait_for("press return", PROMPT_LIMIT_S)
            told.append(f"{time.monotonic() - begun:.0f} s after power on")
        with story.step("reads the clip to its end") as told:
            await_stop(machine, "alpr-reader.service: Deactivated successfully")
            told.append(f"{time.monotonic() - begun:.0f} s after power on")
    with story.step("store verifies on this machine, and the clip is read right") as told:
        home = data_folder(story.shop, card, machine.chip, story.folder / "data") / "reader"
        office = Office(story.folder / "office")
        told.append(office.reader(home, "verify").strip().splitlines()[-1])
        words = (
            "--user",
            "demo-supervisor",
            "--role",
            "ccat-supervisor",
            "--purpose",
            "1",
            "--case",
            "26-1042",
        )
        lines = office.reader(home, "--json", "query", *words).splitlines()
        found = sorted(str(json.loads(line)["text"]) for line in lines)
        if found != clip_texts():
            raise BuildError(f"{len(found)} texts read, {len(clip_texts())} there, not the same")
        told.append(f"{len(found)} of {len(clip_texts())} texts right")
    return machine, card


def await_stop(machine: Machine, words: str) -> None:
    """Wait for a line of systemd's on the log line."""
    machine.await_said(words, limit_s=CLIP_LIMIT_S)


def log_in(story: Story, hands: Hands, office: Office, prompt: str = "> ") -> str:
    """Log in with the grant; the prompt of the session."""
    hands.type("login")
    shown = hands.wait_for("gives up):", COMMAND_LIMIT_S)
    match = _CHALLENGE.search(shown.replace("\r", ""))
    if match is None:
        raise BuildError("no challenge came")
    for line in office.answer(match[0]):
        hands.type(line)
    hands.wait_for("welcome", COMMAND_LIMIT_S)
    hands.wait_for(prompt, COMMAND_LIMIT_S)
    del story
    return f" {PERSON}> "


def visit(story: Story, machine: Machine, card: Path) -> Office:
    """A technician's visit at the unit that has read: enroll, log in with a grant, selftest, sync."""
    office = Office(story.folder / "office")
    with office.open(), machine.running(f"file={card},format=raw", disks=(story.clip_disk(),)) as hands:
        with story.step(
            "starts again to the console's prompt, its data partition opened by the chip"
        ) as told:
            hands.wait_for("press return", PROMPT_LIMIT_S)
            hands.type("")
            told.append(hands.wait_for("> ", COMMAND_LIMIT_S).strip().splitlines()[0][:80])
        with story.step("enrolls with a code") as told:
            hands.type(f"enrol {office.code('car-12')}")
            hands.wait_for("this unit is car-12 (", COMMAND_LIMIT_S)
            unit = hands.wait_for(")").removesuffix(")")
            office.grant(unit.removesuffix("..."))
            hands.wait_for("> ", COMMAND_LIMIT_S)
            told.append(f"unit {unit}")
        with story.step("technician logs in over the serial port with a grant") as told:
            inside = log_in(story, hands, office)
            told.append("welcome")
            for command in ("selftest", "status", "sync now", "storage"):
                hands.type(command)
                shown = hands.wait_for(inside, COMMAND_LIMIT_S)
                told.append(f"{command}: {shown.replace(chr(13), '').strip().splitlines()[-2][:70]}")
        with story.step("department verifies what the unit sent") as told:
            told.append(office.department("verify").strip().splitlines()[-1][:120])
    return office


def root_hash_of(card: Path) -> str:
    """SHA-256 of a card's file, for the comparison of two builds."""
    digest = hashlib.sha256()
    with card.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def clean(story: Story) -> None:
    """Throw away what is large."""
    for path in story.folder.glob("*.card"):
        path.unlink()
    shutil.rmtree(story.folder / "data", ignore_errors=True)
