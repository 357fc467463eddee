"""`reader selftest`: tests every part, without a plate."""

from __future__ import annotations

import json
import time
from functools import partial

import click

from firmware.console.consoles import own_camera
from firmware.console.plate_spots import PlateSpots
from firmware.console.selftest import self_test, sounder_of
from firmware.console.unit import SelfTestLine
from firmware.custody.opening import open_ledger
from firmware.errors import UsageError
from firmware.run.field_parts import clock_of
from firmware.run.part_checks import own_part_checks
from firmware.run.prepared_home import take_home
from firmware.settings.config import load_config
from hw.vitals import SysfsBoard
from storage.errors import HomeLockedError
from sync.command_frame import Common, verb
from sync.errors import DONE, FOUND_WRONG, PART_LACKING

LONG_S = 2.0


@verb("selftest", example="reader selftest --source camera")
@click.option("--source", metavar="SOURCE", help="As for run. Default: from config.toml.")
def selftest(common: Common, *, source: str | None) -> int:
    """Test the parts that are fitted: key slot, log, disk, temperature, network, clock, models, sounder,
    receiver, supply, ignition, lamps, camera, picture and detector.

    Shows no plate. Exit status: 0 all parts work, 1 a part fails, 3 a part is missing.
    """
    take_home(common.home)
    config, clock = load_config(common.home), clock_of(None)
    try:
        ledger = open_ledger(common.home)
    except HomeLockedError:
        raise UsageError("a reader or a console holds this home: use the console, or stop it") from None
    with ledger:
        tests = self_test(
            ledger=ledger,
            clock=clock,
            board=SysfsBoard(common.home),
            newest=own_camera(config, clock, source=source),
            find=PlateSpots(),
            lamps=sounder_of(config.parts),
            fitted=partial(own_part_checks, config),
        )
        checks = []
        started = time.monotonic()
        for check in tests:
            took_s, started = time.monotonic() - started, time.monotonic()
            print(line_of(check, took_s, as_json=common.json), flush=True)  # at once: a camera takes long
            checks.append(check)
    if any(check.good is False for check in checks):
        return FOUND_WRONG
    return PART_LACKING if any(check.good is None and check.name == "camera" for check in checks) else DONE


def line_of(check: SelfTestLine, took_s: float, *, as_json: bool = False) -> str:
    """One line of the test, with its seconds if a person had to wait for it."""
    if as_json:
        facts = {"check": check.name, "good": check.good, "detail": check.text(), "seconds": round(took_s, 1)}
        return json.dumps(facts)
    word = {True: "ok", False: "WRONG", None: "skipped"}[check.good]
    waited = f" ({took_s:.0f} s)" if took_s >= LONG_S else ""
    return f"{word:<8} {check.name:<14} {check.text()}{waited}"
