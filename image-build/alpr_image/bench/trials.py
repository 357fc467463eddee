"""The hard days of `make image-test`: power cuts in mid-write, good and bad updates."""

from __future__ import annotations

import json
import random
from pathlib import Path

from alpr_image.bench import card as cards
from alpr_image.bench import variants
from alpr_image.bench.machine import Machine
from alpr_image.bench.nbd import Card, CardServer, Cutter, cards_after
from alpr_image.bench.office import Office
from alpr_image.bench.story import SHORT_CLIP, Story
from alpr_image.bench.visit import (
    CLIP_LIMIT_S,
    READ_TO_ITS_END,
    START_LIMIT_S,
    UNIT,
    asked,
    log_in,
    prompt,
    session,
    shown,
    verified,
)
from alpr_image.image import Built, Parts
from alpr_image.workshop import BuildError, run
from tests.tools.rehearsal import Hands

INSTALL_LIMIT_S = 1200.0
RESTART_LIMIT_S = 1500.0
CUTS = 20


def power_cuts(story: Story, machine: Machine, card: Path, office: Office) -> None:
    """The enrolled unit starts again and reads; the power fails 20 times in mid-write; then it syncs."""
    folder, chance = story.folder / "cuts", random.Random(20)  # noqa: S311 - a bench, not a key
    run(["rm", "-rf", folder])
    folder.mkdir()
    before = folder / "before.card"
    run(["cp", "--sparse=always", card, before])
    key = cards.volume_key(story.shop, card, machine.chip)
    held = Card(card, keep=True)
    server = CardServer(held, folder / "card.sock")
    address = f"file.driver=nbd,file.server.type=unix,file.server.path={folder}/card.sock,format=raw"
    with office.open(), machine.running(address, disks=(story.clip_disk(),)) as hands:
        at = len(machine.said())
        with story.step("starts again, its data partition opened by the chip") as told:
            hands.wait_for("press return", START_LIMIT_S)
            told.append("prompt at the serial port")
        with story.step(f"power is cut {CUTS} times in mid-write while it reads") as told:
            held.arm(Cutter(chance, count=CUTS))
            machine.await_said(READ_TO_ITS_END, after=at, limit_s=CLIP_LIMIT_S)
            held.arm(None)
            lost = [cut.lost for cut in held.cuts]
            told.append(f"{len(lost)} cuts, {sum(lost)} sectors lost in all, {max(lost, default=0)} at most")
            if len(lost) < CUTS:
                raise BuildError(f"the unit wrote too little: {held.writes} writes")
        with story.step("syncs what it has read to the department") as told:
            session(hands, office)
            told.append(asked(hands, "sync now", lambda text: "done:" in text))
            told.append(verified(office))
    server.close()
    held.close()
    with story.step("ledger verifies after every cut, and no later cut has fewer records") as told:
        counts = []
        for _ in cards_after(before, held.durable, held.cuts):
            home = cards.data_folder(story.shop, before, machine.chip, folder / "data", key=key) / "reader"
            counts.append(int(json.loads(office.reader(home, "--json", "verify"))["records"]))
        if not counts or counts != sorted(counts):
            raise BuildError(f"records after the cuts: {counts}")
        told.append(f"{len(counts)} of {CUTS} consistent, {counts[0]} to {counts[-1]} records")
    run(["rm", "-rf", folder])


def updates(story: Story, parts: Parts, built: Built, unit: tuple[Machine, Path], office: Office) -> None:
    """A good update goes in; bad ones are refused, or left by the next start."""
    shop, (machine, card) = story.shop, unit
    with story.step("builds one good update and four bad ones") as told:
        good = variants.make(shop, parts, version=2, name="good")
        blind = variants.make(shop, parts, version=3, name="blind", alter=variants.without_models)
        dead = variants.make(shop, parts, version=4, name="dead", alter=variants.without_init)
        foreign = variants.make(shop, parts, version=5, name="foreign", signer="foreign")
        unlogged = variants.make(shop, parts, version=6, name="unlogged", logged=False)
        files = [one.update for one in (good, blind, dead, foreign, unlogged)]
        stick = story.stick(*files, built.update)
        told.append(f"{sum(path.stat().st_size for path in files) / 1e6:.0f} MB")
    disks = (story.clip_disk(frames=SHORT_CLIP), stick)
    with office.open(), machine.running(f"file={card},format=raw", disks=disks) as hands:
        trial = _Trial(story, machine, hands, office)
        at = len(machine.said())
        with story.step("starts with the stick in it") as told:
            trial.comes_up("A", at)
            told.append("slot A committed")
        for one, words in ((foreign, "ignature"), (unlogged, "release log")):
            with story.step(f"refuses an update: {one.update.stem}") as told:
                told.append(trial.refused(one.update.name, words))
        with story.step("installs a good update, starts into it and commits it") as told:
            at = trial.installed(good.update.name)
            trial.comes_up("B", at)
            told.append("slot B committed, version 2")
        with story.step("refuses a downgrade") as told:
            told.append(trial.refused(built.update.name, "not newer"))
        with story.step("leaves an update that boots and reads nothing, by itself") as told:
            at = trial.installed(blind.update.name)
            at = machine.await_said("alpr: slot A, root verified", after=at, limit_s=RESTART_LIMIT_S)
            machine.await_said("failed its check, back to B", after=at, limit_s=RESTART_LIMIT_S)
            trial.comes_up("B", at)
            told.append("slot A failed its check; slot B runs again")
        with story.step("leaves an update that does not boot, by itself") as told:
            at = trial.installed(dead.update.name)
            at = machine.await_said("alpr: slot A, root verified", after=at, limit_s=RESTART_LIMIT_S)
            trial.comes_up("B", at)
            told.append("slot A panicked; slot B runs again")
        with story.step("every outcome is a record of its log, and its department has them") as told:
            told.append(asked(hands, "sync now", lambda text: "done:" in text))
            told.append(verified(office))
    with story.step("store verifies on this machine after all of it") as told:
        home = cards.data_folder(shop, card, machine.chip, story.folder / "data") / "reader"
        told.append(f"{json.loads(office.reader(home, '--json', 'verify'))['records']} records, consistent")


class _Trial:
    """The technician with the stick."""

    def __init__(self, story: Story, machine: Machine, hands: Hands, office: Office) -> None:
        self._story, self._machine, self._hands, self._office = story, machine, hands, office

    def comes_up(self, slot: str, at: int) -> None:
        """It starts from this slot and commits it; a technician logs in. Raises BuildError, Silence."""
        machine = self._machine
        at = machine.await_said(f"alpr: slot {slot}, root verified", after=at, limit_s=RESTART_LIMIT_S)
        machine.await_said(f"slot {slot} committed", after=at, limit_s=RESTART_LIMIT_S)
        machine.await_said(READ_TO_ITS_END, after=at, limit_s=CLIP_LIMIT_S)
        prompt(self._hands, UNIT)
        log_in(self._hands, self._office)

    def refused(self, name: str, words: str) -> str:
        """Raises BuildError where the update is taken, or refused for another reason."""
        text = shown(self._hands, f"update /media/alpr-stick/{name}", limit_s=INSTALL_LIMIT_S)
        if words not in text or "tried at the next restart" in text:
            raise BuildError(f"expected a refusal with {words!r}, got {text[-300:]!r}")
        return next(line.strip()[:100] for line in text.splitlines() if words in line)

    def installed(self, name: str) -> int:
        """Install and restart; where the log line stood before. Raises BuildError, Silence."""
        text = shown(self._hands, f"update /media/alpr-stick/{name}", limit_s=INSTALL_LIMIT_S)
        if "tried at the next restart" not in text:
            raise BuildError(f"not installed: {text[-300:]!r}")
        at = len(self._machine.said())
        self._hands.type(f"reboot {UNIT}")
        return at
