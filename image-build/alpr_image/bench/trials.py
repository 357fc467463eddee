"""The hard days of `make image-test`: power cuts during writes, good and bad updates."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpr_image.bench import card as cards
from alpr_image.bench import variants
from alpr_image.bench.machine import VirtualMachine
from alpr_image.bench.nbd import Card, CardServer, Cutter, cards_after
from alpr_image.bench.office import Office
from alpr_image.bench.story import SHORT_CLIP, BenchStory
from alpr_image.bench.visit import (
    CLIP_LIMIT_S,
    READ_TO_ITS_END,
    UNIT,
    asked,
    log_in,
    prompt,
    shown,
    verified,
)
from alpr_image.image import ImageParts
from alpr_image.workshop import BuildError, run
from firmware.custody.opening import open_ledger
from storage.audit_records import Update
from storage.holds import audit_records
from tests.tools.rehearsal import Hands

INSTALL_LIMIT_S = 1200.0
RESTART_LIMIT_S = 1500.0
FALLS_BACK = "alpr-fall-back.service - Restart into the slot that was committed"
OUTCOMES = (  # of the day's updates; the reader logs new ones at its next start
    "running in slot A, committed",
    "refused: rauc: ",
    "refused: not in the release log",
    "not installed: the unit stopped while slot B was written",
    "installed",
    "running in slot B, committed",
    "refused: version 1 is not newer",
    "installed",
    "given up: slot A failed its check, back to B: selfcheck: ",
    "installed",
    "given up: slot A did not start",
)
CUTS = 20
HALF_AN_UPDATE = 64 << 20  # bytes of a slot's root, of about 180 MB


class CutCard:
    """The unit's card behind a server that cuts the power again and again during writes."""

    def __init__(self, story: BenchStory, machine: VirtualMachine, card: Path) -> None:
        self._story, self._machine = story, machine
        self._folder = story.folder / "cuts"
        run(["rm", "-rf", self._folder])
        self._folder.mkdir()
        self._before = self._folder / "before.card"
        run(["cp", "--sparse=always", card, self._before])
        self._key = cards.volume_key(story.shop, card, machine.chip)
        self._held = Card(card, keep=True)
        self._server = CardServer(self._held, self._folder / "card.sock")
        self.address = (
            f"file.driver=nbd,file.server.type=unix,file.server.path={self._folder}/card.sock,format=raw"
        )

    def arm(self) -> None:
        """From now on, cut the power CUTS times, at random writes."""
        chance = random.Random(20)  # noqa: S311 - a bench, not a key
        self._held.arm(Cutter(chance, count=CUTS, apart_s=2.0))

    def facts(self) -> str:
        """The number of cuts and of lost sectors. Raises BuildError if the unit wrote too little."""
        lost = [cut.lost for cut in self._held.cuts]
        if len(lost) < CUTS:
            raise BuildError(f"{len(lost)} cuts of {CUTS}: {self._held.writes} writes")
        return f"{len(lost)} cuts, {sum(lost)} sectors lost in all, {max(lost)} at most"

    def written(self, name: str, least: int, limit_s: float) -> int:
        """Wait until so many bytes were written to a partition; returns how many. Raises BuildError."""
        self._held.watch(range(*cards.partition(self._story.shop, self._held.path, name)))
        until = time.monotonic() + limit_s
        while self._held.watched < least:
            if time.monotonic() > until:
                raise BuildError(f"{self._held.watched} bytes written to {name} in {limit_s:.0f} s")
            time.sleep(0.05)
        return self._held.watched

    def fail(self) -> int:
        """Cut the power for good, and return the number of lost sectors. Call it when the machine is off."""
        self._server.drained()
        return self._held.fail(random.Random(21)).lost  # noqa: S311 - a bench, not a key

    def close(self) -> None:
        """Close the card, once the machine is off."""
        self._server.close()
        self._held.close()

    def verified(self, office: Office) -> str:
        """Verify here the card after each cut. Raises BuildError for the first inconsistent one."""
        counts: list[int] = []
        for _ in cards_after(self._before, self._held.durable, self._held.cuts):
            out = self._folder / "data"
            home = cards.data_folder(self._story.shop, self._before, self._machine.chip, out, key=self._key)
            counts.append(int(json.loads(office.reader(home / "reader", "--json", "verify"))["records"]))
            self._story.show(f"        {len(counts)}: {counts[-1]} records, consistent")
        if not counts or counts != sorted(counts):
            raise BuildError(f"records after the cuts: {counts}")
        run(["rm", "-rf", self._folder])
        return f"{len(counts)} of {CUTS} consistent, {counts[0]} to {counts[-1]} records, never fewer"


@dataclass(frozen=True, slots=True)
class Stick:
    """Update files (one to install, four to refuse or give up), and the disk with them."""

    good: Path
    blind: Path
    dead: Path
    foreign: Path
    unlogged: Path
    older: Path
    disk: Path

    @classmethod
    def filled(cls, story: BenchStory, parts: ImageParts, older: Path) -> Stick:
        """Build them from the last build's tree. older: the update file of the running version."""

        def make(version: int, name: str, **words: Any) -> Path:
            return variants.make(story.shop, parts, version=version, name=name, **words).update

        files = (
            make(2, "good"),
            make(3, "blind", alter=variants.without_models),
            make(4, "dead", alter=variants.without_init),
            make(5, "foreign", signer="foreign"),
            make(6, "unlogged", logged=False),
            older,
        )
        return cls(*files, story.stick(*files))


def hard_day(story: BenchStory, stick: Stick, unit: tuple[VirtualMachine, Path], office: Office) -> None:
    """Restart the enrolled unit, let it read while its power fails, then try good and bad updates."""
    machine, card = unit
    cut = CutCard(story, machine, card)
    disks = (story.clip_disk(frames=SHORT_CLIP), stick.disk)
    with office.open(), machine.running(cut.address, disks=disks) as hands:
        _while_power_fails(_Trial(story, machine, hands, office), stick, cut)
    with office.open(), machine.running(cut.address, disks=disks) as hands:
        _updates(_Trial(story, machine, hands, office), stick)
    cut.close()
    with story.step("ledger verifies after every cut, and no later cut has fewer records") as facts:
        facts.append(cut.verified(office))
    with story.step("store verifies on this machine after all of it") as facts:
        home = cards.data_folder(story.shop, card, machine.chip, story.folder / "data") / "reader"
        facts.append(f"{json.loads(office.reader(home, '--json', 'verify'))['records']} records, consistent")
    with story.step("every outcome of an update is a record of its log") as facts:
        facts.append(all_recorded(update_outcomes(home)))


def update_outcomes(home: Path) -> list[str]:
    """The outcomes of updates in this home's log, in order."""
    with open_ledger(home) as ledger:
        return [one.outcome for one in audit_records(ledger.store) if isinstance(one, Update)]


def all_recorded(outcomes: list[str]) -> str:
    """The number of outcomes, as text. Raises BuildError unless all of this day's are there, in order."""
    left = iter(outcomes)
    for wanted in OUTCOMES:
        if not any(one.startswith(wanted) for one in left):
            raise BuildError(f"{wanted!r} is not in the log, or not in its order: {outcomes}")
    return f"{len(outcomes)} records of updates, {len(OUTCOMES)} looked for"


def _while_power_fails(trial: _Trial, stick: Stick, cut: CutCard) -> None:
    """A start, a sync and refused updates, until the last cut, in the middle of an update."""
    story = trial.story
    cut.arm()
    with story.step("starts again, its data partition opened by the chip") as facts:
        trial.comes_up("A", trial.begun)
        facts.append("slot A committed, a technician logged in")
    with story.step("syncs what it has read to the department, which verifies it") as facts:
        facts.append(trial.synced())
    for why, one, words in (
        ("signed by another key", stick.foreign, "signature verification failed"),
        ("not in the release log", stick.unlogged, "release log"),
    ):
        with story.step(f"refuses an update that is {why}") as facts:
            facts.append(trial.refused(one.name, words))
    with story.step(f"power fails {CUTS} times in mid-write, the last while an update is written") as facts:
        trial.begin(stick.good.name)
        written = cut.written("system_b", HALF_AN_UPDATE, INSTALL_LIMIT_S)
        facts.append(cut.facts())
    with story.step("power fails for good in the middle of that update") as facts:
        trial.machine.cut()
        facts.append(f"{written >> 20} MB into slot B, {cut.fail()} sectors lost")


def _updates(trial: _Trial, stick: Stick) -> None:
    """After the cut: a good update, an older one, one that reads nothing, and one that does not boot."""
    story, machine = trial.story, trial.machine
    with story.step("starts again from the slot that it had") as facts:
        trial.comes_up("A", trial.begun)
        facts.append("slot A committed, a technician logged in")
    with story.step("installs the same update, starts into it and commits it") as facts:
        at = trial.installed(stick.good.name)
        trial.comes_up("B", at)
        facts.append("slot B committed, version 2")
    with story.step("refuses a downgrade") as facts:
        facts.append(trial.refused(stick.older.name, "not newer"))
    with story.step("leaves an update that boots and reads nothing, by itself") as facts:
        at = trial.installed(stick.blind.name)
        at = machine.await_said(_started("A"), after=at, limit_s=RESTART_LIMIT_S)
        machine.await_said(FALLS_BACK, after=at, limit_s=RESTART_LIMIT_S)
        trial.comes_up("B", at)
        facts.append("slot A failed its check; slot B runs again")
    with story.step("leaves an update that does not boot, by itself") as facts:
        at = trial.installed(stick.dead.name)
        at = machine.await_said(_started("A"), after=at, limit_s=RESTART_LIMIT_S)
        trial.comes_up("B", at)
        facts.append("slot A panicked; slot B runs again")
    with story.step("syncs the records of all of it to its department, which verifies them") as facts:
        facts.append(trial.synced())


def _started(slot: str) -> str:
    """The firmware's output when it starts a slot's file."""
    return f'"ALPR {slot}" from HD('


class _Trial:
    """The technician with the stick."""

    def __init__(self, story: BenchStory, machine: VirtualMachine, hands: Hands, office: Office) -> None:
        self.story, self.machine, self._hands, self._office = story, machine, hands, office
        self.begun = len(machine.said())  # the machine was just switched on

    def comes_up(self, slot: str, at: int) -> None:
        """Wait until it starts from this slot and commits it, and log in. Raises BuildError, Silence."""
        machine = self.machine
        at = machine.await_said(_started(slot), after=at, limit_s=RESTART_LIMIT_S)
        machine.await_said(f"slot {slot} committed", after=at, limit_s=RESTART_LIMIT_S)
        machine.await_said(READ_TO_ITS_END, after=at, limit_s=CLIP_LIMIT_S)
        prompt(self._hands, UNIT)
        log_in(self._hands, self._office)

    def refused(self, name: str, words: str) -> str:
        """Try an update that must be refused. Raises BuildError if it is accepted, or for another reason."""
        text = self._update(name)
        if words not in text or "tried at the next restart" in text:
            raise BuildError(f"expected a refusal with {words!r}, got {text[-300:]!r}")
        return text[max(text.find("refused"), 0) :][:100]

    def synced(self) -> str:
        """Sync, and let the department verify; returns both results. Raises BuildError, Silence."""
        facts = asked(self._hands, "sync now", lambda text: "done:" in text)
        return f"{facts}; {verified(self._office)}"

    def _update(self, name: str) -> str:
        """The output of `update` as one line, since a terminal of 80 columns wraps it. Raises Silence."""
        return " ".join(
            shown(self._hands, f"update /media/alpr-stick/{name}", limit_s=INSTALL_LIMIT_S).split()
        )

    def begin(self, name: str) -> None:
        """Begin an installation without waiting for it."""
        self._hands.type(f"update /media/alpr-stick/{name}")

    def installed(self, name: str) -> int:
        """Install and restart; returns the position in the output before that. Raises BuildError, Silence."""
        text = self._update(name)
        if "tried at the next restart" not in text:
            raise BuildError(f"not installed: {text[-300:]!r}")
        at = len(self.machine.said())
        self._hands.type(f"reboot {UNIT}")
        return at
