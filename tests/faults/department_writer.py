"""A department at work that prints what it announces; the test runs it under strace.

python department_writer.py FOLDER UNIT     FOLDER: the department's disk; UNIT: the unit's, which is not cut
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from custody_twins import SteppedTime
from receiver_twins import Joined, size_held
from sync_twins import bare_home, converse

from storage.times import DAY_US, now_us
from sync import messages
from sync.department.ground.department_time import Clocks
from sync.department.server.server import Department

LARGE = 9000  # bytes of a picture that is stored in a pack, not in a row


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def deliver(department: Department, unit: Joined) -> None:
    """Deliver reads, and announce what the department acknowledged."""
    unit.add(2, size=LARGE)
    assert converse(unit, department).done
    wanted = messages.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    answer = department.receiver.answer("receipt", messages.seal_message(wanted, unit.outbox.sign))
    key = department.home.log_key().public_key()
    receipt = messages.open_message(messages.Receipt, answer, key)
    ends = max(last for _, last in receipt.ranges) + 1
    say(f"held {unit.outbox.log_id.hex()} {size_held(department, unit)} {ends}")


def main() -> None:
    folder, unit_folder = Path(sys.argv[1]), Path(sys.argv[2])
    clock = SteppedTime(now_us())
    department = Department(bare_home(folder / "home"), Clocks.simulated(lambda: clock.now().us))
    unit = Joined(unit_folder, department, "unit", time_source=clock)
    say(f"made {clock.now().us}")
    for days in (1, 1, 364):
        deliver(department, unit)
        clock.run(days * DAY_US)
        say(f"now {clock.now().us}")
    for one in department.retain():
        say(f"purged {one.day}")
    say("closed")
    unit.close()
    department.close()


if __name__ == "__main__":
    main()
