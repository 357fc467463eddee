"""Alerts under attack: a unit killed between raising and showing, and lists made to smuggle an entry in.

A few of each here; `ALPR_FAULTS=full` (make faults) runs 1,000 alerts and 10,000 lists.
"""

from __future__ import annotations

import io
import os
import random
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from alert_twins import HEAD, KNOWN, NOW_US, Held, entry, plate_box, seen
from custody_twins import OVERVIEW, PATCH, make_read

from firmware.alerts.board import AlertBoard, PlannedAlert
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.matching import match
from firmware.custody.opening import create_ledger, open_ledger
from hw.clock import SystemClock
from storage.alert_terms import DEFAULT_ALERTS
from storage.ledger import Ledger, NewRead
from storage.read_records import Alert
from storage.times import HOUR_US
from storage.verify import verify_home
from sync.hot_lists.importing import ListRefusedError, import_list
from sync.hot_lists.layout import find_layout, shipped
from sync.ledger_outbox import LedgerOutbox

FULL = os.environ.get("ALPR_FAULTS") == "full"
RAISED_LEAST = 1000 if FULL else 12
LISTS = 10_000 if FULL else 300


def records(planned: list[PlannedAlert], read: int) -> list[Alert]:
    return [one.record(read) for one in planned]


def raise_without_end(home: Path, told: int) -> None:
    """Run in a separate process: raise one alert after another, and announce each once it is raised."""
    ledger = open_ledger(home)
    cleared = ClearedPlates(home / "hotlists", ledger.hot_list_key())
    board = AlertBoard(ledger, cleared, terms=lambda: DEFAULT_ALERTS)
    clock = SystemClock()
    for number in range(1_000_000):
        plate = f"7A{number % 36**3:05d}"
        now_us = clock.now().us
        head = replace(HEAD, extracted_us=now_us - HOUR_US, expires_us=now_us + HOUR_US)
        found = match(seen(plate), plate_box(), [Held([entry(plate)], head)], DEFAULT_ALERTS, KNOWN, now_us)
        planned = board.plan(found, now_us)
        new = NewRead(read=make_read(now_us, plate), patch=PATCH, overview=OVERVIEW)
        read, *alerts = ledger.append_hit(new, partial(records, planned))
        for made in board.raise_alerts(read, planned, alerts):
            os.write(told, b"%d\n" % made.number)


def killed(home: Path, rng: random.Random) -> list[int]:
    """Run a unit until SIGKILL ends it. Returns the alerts that it announced."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            raise_without_end(home, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        first = stream.readline()  # it is running
        time.sleep(rng.uniform(0.0, 0.4))
        os.kill(child, signal.SIGKILL)
        rest = stream.read()
    os.waitpid(child, 0)
    whole = [line for line in (first + rest).split(b"\n")[:-1] if line]
    return [int(line) for line in whole]


def test_an_alert_that_was_raised_is_listed_after_a_kill(tmp_path: Path) -> None:
    home, rng = tmp_path / "home", random.Random(463)
    create_ledger(home).close()
    raised: list[int] = []
    while len(raised) < RAISED_LEAST:
        fresh = killed(home, rng)
        assert fresh
        raised += fresh
        with open_ledger(home) as ledger:
            assert all(_is_alert(ledger, number) for number in raised)
            outbox = LedgerOutbox(ledger, home / "sync" / "inbox")
            assert set(fresh) <= set(outbox.hits_from(0))  # and the next sync sends them
    with open_ledger(home) as ledger:
        assert verify_home(ledger.store.home).ok
    print(f"{len(raised)} of {len(raised)} alerts that were raised before a kill are listed after it")


def _is_alert(ledger: Ledger, number: int) -> bool:
    return ledger.store.leaf(number).kind == Alert.KIND


FORBIDDEN = ("immigration", "Immigration Violator", "traffic", "repossessed", "political", "lost", "civil")
TRICKS = (
    str,
    str.upper,
    lambda word: word.replace("i", "і"),
    lambda word: f"{word}\x00",
    lambda word: f"\ufeff{word}",
    lambda word: f" {word} ",
    lambda word: f"stolen-vehicle\r{word}",
    lambda word: f'"stolen"" {word}"',
    lambda word: f"=cmd|{word}",
    lambda word: word.replace("o", "0"),
    lambda word: f"stolen {word}",
    lambda word: word[::-1],
)


def fuzzed(rng: random.Random) -> tuple[str, bytes]:
    """A list in a shipped layout, with lines meant to get in an entry that the policy forbids."""
    layout = rng.choice(sorted(shipped()))
    plan = find_layout(layout)
    mark = plan.delimiter or " "
    lines = []
    if plan.header:
        lines.append(mark.join(str(one) for one in plan.fields.values()))
    for _ in range(rng.randint(1, 20)):
        word = rng.choice(TRICKS)(rng.choice((*FORBIDDEN, "Stolen", "stolen-vehicle")))
        plate = "".join(rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", k=7))
        cells = [word, "CA", plate, "note", "2026-01-01"]
        if (
            plan.header and rng.random() < 0.5
        ):  # each under its heading, so that some get as far as the policy
            filled = {"plate": plate, "state": "CA", "category": word, "reason": word}
            cells = [filled.get(name, "") for name in plan.fields]
            lines.append(mark.join(cells))
            continue
        if rng.random() < 0.5:
            rng.shuffle(cells)
        lines.append(mark.join(cells * rng.randint(1, 4)))
    body = bytearray(rng.choice(("\n", "\r\n", "\r")).join(lines).encode("utf-8", "surrogatepass"))
    for _ in range(rng.randint(0, 6)):
        if body:
            body[rng.randrange(len(body))] = rng.randrange(256)
    return layout, bytes(body)


def test_no_fuzzed_list_lets_an_entry_in_that_the_policy_forbids() -> None:
    rng = random.Random(1798)
    allowed = {one.id: one for one in DEFAULT_ALERTS.categories}
    taken = refused = entries = 0
    for _ in range(LISTS):
        layout, body = fuzzed(rng)
        plan = find_layout(layout)
        category = None if "category" in plan.fields else "stolen-vehicle"
        terms = replace(DEFAULT_ALERTS, bad_lines_per_thousand=200)
        try:
            made = import_list(
                io.BytesIO(body), plan, terms, name="day.csv", category=category, now_us=NOW_US
            )
        except ListRefusedError:
            refused += 1
            continue
        taken += 1
        for one in made.entries:
            entries += 1
            category_terms = allowed[one.category]
            words = one.reason.casefold().split()
            assert not {word.casefold() for word in category_terms.never} & set(words)
    assert taken + refused == LISTS
    assert entries > 0
    print(f"{LISTS} lists: {refused} refused whole, {taken} taken with {entries} entries, none forbidden")


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_category_that_the_policy_does_not_name_matches_even_in_a_signed_list(word: str) -> None:
    """A person with the command key who signs a list with another category gets no alert on a unit."""
    poisoned = replace(entry(), category=word.split(maxsplit=1)[0].casefold())
    assert match(seen("7XKR219"), plate_box(), [Held([poisoned])], DEFAULT_ALERTS, KNOWN, NOW_US) == []
