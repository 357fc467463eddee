"""kill -9 under write load, repeatedly on one home. It tests only the process: the page cache survives."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time as wall
from pathlib import Path

from custody_twins import SteppedTime, check

from hw.secure_slot import LoopbackSlot
from storage.ledger import Ledger

FULL = os.environ.get("ALPR_FAULTS") == "full"
CYCLES = 500 if FULL else 4
ROOT = Path(__file__).resolve().parents[2]
WRITER = Path(__file__).with_name("storage_writer.py")


def test_kill_9_under_write_load_loses_nothing_announced(tmp_path: Path) -> None:
    rng = random.Random(9)
    home, chip = tmp_path / "home", tmp_path / "chip"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'twins'}"}
    announced: list[int] = []
    for _ in range(CYCLES):
        writer = subprocess.Popen(
            [sys.executable, str(WRITER), str(home), str(chip), "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        assert writer.stderr is not None
        lines = [writer.stdout.readline()]
        assert lines[0], writer.stderr.read()[-2000:]
        wall.sleep(rng.random() * 0.2)
        writer.kill()
        lines += writer.stdout.read().splitlines(keepends=True)
        writer.stdout.close()
        writer.stderr.close()
        writer.wait()
        announced += [
            int(line.split()[1]) for line in lines if line.startswith("read ") and line.endswith("\n")
        ]
    slot, time = LoopbackSlot(chip), SteppedTime()
    with Ledger.open(home, slot, time, boot=time.boot) as ledger:
        for sequence in announced:
            ledger.read(sequence)
            ledger.element(sequence, "overview")
    assert len(announced) >= CYCLES // 2
    assert check(home, slot).ok
