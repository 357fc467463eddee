"""The unit's first day: the card starts, the clip is read, a technician enrolls the unit, logs in, syncs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from alpr_image.bench.card import data_folder
from alpr_image.bench.machine import VirtualMachine
from alpr_image.bench.office import PERSON, Office
from alpr_image.bench.story import BenchStory, clip_texts
from alpr_image.image import Built
from alpr_image.workshop import BuildError, run
from tests.tools.rehearsal import Hands, Silence, as_shown

UNIT = "car-12"
START_LIMIT_S = 900.0
CLIP_LIMIT_S = 1500.0
COMMAND_LIMIT_S = 400.0
RETURN_EVERY_S = 20.0
READ_TO_ITS_END = "alpr-reader.service: Deactivated successfully"
_CHALLENGE = re.compile(r"[A-Za-z0-9._@-]+:[a-z2-7]{32}:[0-9a-f]{4}")
_ASK = ("--user", "demo-supervisor", "--role", "ccat-supervisor", "--purpose", "1", "--case", "26-1042")


def first_day(story: BenchStory, built: Built) -> tuple[VirtualMachine, Path, Office]:
    """The first start of a flashed card, from power-on to the technician's `exit`."""
    machine, card = story.fresh_unit(built)
    run(["rm", "-rf", story.folder / "office"])
    office = Office(story.folder / "office")
    begun, begun_us = time.monotonic(), time.time_ns() // 1000
    with (
        office.open(),
        machine.running(f"file={card},format=raw", disks=(story.clip_disk(),)) as hands,
    ):
        with story.step("boots to the console's prompt") as facts:
            hands.wait_for("press return", START_LIMIT_S)
            facts.append(f"{time.monotonic() - begun:.0f} s after power on")
        with story.step("reads the clip to its end") as facts:
            machine.await_said(READ_TO_ITS_END, limit_s=CLIP_LIMIT_S)
            facts.append(f"{time.monotonic() - begun:.0f} s after power on")
        with story.step("commits its slot after the self-check") as facts:
            machine.await_said("slot A committed, version 1", limit_s=START_LIMIT_S)
            facts.append(f"{time.monotonic() - begun:.0f} s after power on")
        with story.step("store verifies on this machine, and the clip is read right") as facts:
            facts.append(_read_right(story, machine, card, office, begun_us))
        first_visit(story, hands, office)
        with story.step("department verifies what the unit sent") as facts:
            facts.append(verified(office))
    return machine, card, office


def _read_right(story: BenchStory, machine: VirtualMachine, card: Path, office: Office, begun_us: int) -> str:
    """Open the card here as a power cut would leave it now: it must be consistent, and every text right.

    The clip's times start when the unit opened it, by this machine's clock.
    """
    copy, chip = story.folder / "read.card", story.folder / "read.chip"
    run(["rm", "-rf", chip])
    with machine.paused():
        run(["cp", "--sparse=always", card, copy])
        run(["cp", "-a", machine.chip, chip])
    home = data_folder(story.shop, copy, chip, story.folder / "data") / "reader"
    copy.unlink()
    records = json.loads(office.reader(home, "--json", "verify"))["records"]
    lines = office.reader(home, "--json", "query", *_ASK).splitlines()
    reads = [json.loads(line) for line in lines]
    found = sorted(str(read["text"]) for read in reads)
    if found != clip_texts():
        right = len(set(found) & set(clip_texts()))
        raise BuildError(f"{len(found)} texts read, {len(clip_texts())} there, {right} right")
    opened_s = (min(int(read["first_us"]) for read in reads) - begun_us) / 1e6
    right_ones = f"{len(found)} of {len(clip_texts())} texts right"
    return f"consistent, {records} records; {right_ones}; the clip opened {opened_s:.0f} s after power on"


def verified(office: Office) -> str:
    """The output of `department verify`. Raises BuildError."""
    return office.department("verify").strip().splitlines()[0][-100:]


def prompt(hands: Hands, name: str) -> str:
    """Press return until the unit's prompt comes; returns what came before it. Raises Silence."""
    until = time.monotonic() + START_LIMIT_S
    hands.skip()
    while True:
        hands.type("")
        try:
            return hands.wait_for(f"{name}> ", RETURN_EVERY_S)
        except Silence:
            if time.monotonic() > until:
                raise


def selftest_of_a_start(machine: VirtualMachine, hands: Hands, name: str) -> str:
    """The output of `selftest` after the reader has read the clip; earlier, the reader takes over the line.

    Call it as the machine starts. Raises BuildError, Silence.
    """
    at = len(machine.said())
    machine.await_said(READ_TO_ITS_END, after=at, limit_s=START_LIMIT_S + CLIP_LIMIT_S)
    prompt(hands, name)
    return shown(hands, "selftest", f"{name}> ")


def first_visit(story: BenchStory, hands: Hands, office: Office) -> None:
    """A technician's visit to a unit with reads: selftest, enroll, log in with a grant, sync."""
    with story.step("answers at the serial port; selftest before any login") as facts:
        prompt(hands, "reader-1")
        text = shown(hands, "selftest", "reader-1> ")
        if "all parts that are here work" not in text:
            raise BuildError(text[-600:])
        facts.append(_last(text))
    with story.step("aims, before any login") as facts:
        text = shown(hands, "aim preview 0", "reader-1> ")
        if "shutter" not in text or "plate" not in text:
            raise BuildError(text[-600:])
        facts.append(_last(text))
    with story.step("enrolls with a code; reads of before are destroyed on the typed name") as facts:
        hands.type(f"enroll {office.code(UNIT)}")
        hands.wait_for("type the unit's name", COMMAND_LIMIT_S)
        hands.wait_for("continue:", COMMAND_LIMIT_S)
        hands.wait_for("> ", COMMAND_LIMIT_S)
        hands.type("reader-1")
        hands.wait_for(f"this unit is {UNIT} (", COMMAND_LIMIT_S)
        facts.append(f"unit {hands.wait_for(')').removesuffix(')')}")
        hands.wait_for(f"{UNIT}> ", COMMAND_LIMIT_S)
    with story.step("technician logs in over the serial port with a grant") as facts:
        office.grant(UNIT)
        log_in(hands, office)
        facts.append("welcome")
    for command, good in (
        ("selftest", lambda text: "all parts that are here work" in text),
        ("network", lambda text: "department reachable" in text),
        ("status", lambda text: f"{UNIT} (" in text and "enrolled" in text and "alarms  " in text),
        # the first sync gives up by name the parts of reads that the enrollment destroyed
        ("sync now", lambda text: "done: " in text),
        ("storage", lambda text: re.search(r"^enrolled +True", text, re.MULTILINE) is not None),
        ("update", lambda text: "software" in text and "not available" not in text),
    ):
        with story.step(f"logged in: {command}") as facts:
            facts.append(asked(hands, command, good))
    with story.step("leaves") as facts:
        hands.type("exit")
        hands.wait_for("bye", COMMAND_LIMIT_S)
        facts.append("bye")
    (story.folder / "visit.txt").write_text(as_shown(hands.seen), encoding="utf-8")


def session_prompt() -> str:
    """The prompt of a logged-in technician."""
    return f"{UNIT} {PERSON}> "


def log_in(hands: Hands, office: Office) -> None:
    """Log in with the grant. Raises BuildError, Silence."""
    hands.type("login")
    came = hands.wait_for("gives up):", COMMAND_LIMIT_S)
    match = _CHALLENGE.search(came.replace("\r", ""))
    if match is None:
        raise BuildError(f"no challenge came: {came[-200:]!r}")
    for line in office.answer(match[0]):
        hands.type(line)
    hands.wait_for("welcome", COMMAND_LIMIT_S)
    hands.wait_for(session_prompt(), COMMAND_LIMIT_S)


def session(hands: Hands, office: Office) -> None:
    """Get a logged-in session, whatever the state of the line."""
    prompt(hands, UNIT)
    log_in(hands, office)


def shown(hands: Hands, command: str, before: str | None = None, limit_s: float = COMMAND_LIMIT_S) -> str:
    """A command's output, without the echo of the command. Raises Silence."""
    hands.type(command)
    hands.wait_for(command, limit_s)  # its echo comes after any earlier prompt
    hands.wait_for("\n", limit_s)
    text = hands.wait_for(before or session_prompt(), limit_s)
    return text.replace("\r", "").removesuffix(before or session_prompt())


def asked(hands: Hands, command: str, good: Callable[[str], bool]) -> str:
    """The last line of a command's output. Raises BuildError if the output is not `good`."""
    text = shown(hands, command)
    if not good(text):
        raise BuildError(f"{command}: {text[-500:]!r}")
    return _last(text)


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:90]
