"""An enrolled unit that makes one change and prints its announcements; the test runs it under strace.

python unit_writer.py HOME CHANGE         CHANGE: roll-over, policy, hot-list
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from custody_twins import make_read
from field_home import COMMAND, NOW_US, enroll
from list_twins import entry

from firmware.alerts.opened_lists import open_lists
from firmware.custody.log_rollover import Successor
from firmware.custody.opening import create_ledger, open_or_roll_over
from hw.clock import SetClock
from storage import codec, envelope
from storage.day_keys import DayKey, DayKeys
from storage.ledger import Ledger
from storage.policy import CustodyPolicy
from storage.standing import DAY_KEYS, POLICY, context_of
from storage.times import DAY_US, HOUR_US
from sync.hot_lists.document import ListHead, digest_of, total_digest
from sync.ledger_outbox import LedgerOutbox


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def add_read(ledger: Ledger) -> None:
    read = make_read(NOW_US, demo=False)
    number = ledger.append_read(read, patch=os.urandom(300), overview=os.urandom(700)).sequence
    say(f"read {ledger.store.log_id.hex()} {number}")


def signed(name: str, document: object) -> bytes:
    return envelope.sign(codec.to_bytes(document), COMMAND, context=context_of(name))


def policy(version: int) -> bytes:
    return signed(POLICY, CustodyPolicy(version=version, organisation="d"))


def put_list(home: Path, ledger: Ledger, version: int) -> None:
    entries = [entry(number).to_bytes() for number in range(20 * version)]
    head = ListHead(
        list_id="doj", sequence=version, organization="d", issuer="DOJ", source="SVS", agency="",
        extracted_us=NOW_US, expires_us=NOW_US + 24 * HOUR_US, count=len(entries),
        digest=total_digest(map(digest_of, entries)), snapshot=version, parts=0,
    )  # fmt: skip
    lists = open_lists(home, ledger, enroll(home))
    lists.keep(head, entries)
    lists.close()
    say(f"list {version}")


def main() -> None:
    home, change = Path(sys.argv[1]), sys.argv[2]
    clock = SetClock(NOW_US)
    create_ledger(home, clock=clock).close()
    folder = enroll(home)
    ledger = open_or_roll_over(home, clock=clock, on_new_log=say)
    outbox = LedgerOutbox(ledger, folder.inbox)
    day = DayKey.of(NOW_US // DAY_US + 1, ec.generate_private_key(ec.SECP256R1()))
    outbox.take_document(DAY_KEYS, signed(DAY_KEYS, DayKeys(version=1, keys=(day,))))
    outbox.take_document(POLICY, policy(1))
    put_list(home, ledger, 1)
    add_read(ledger)
    say("begun")
    if change == "roll-over":
        successor = Successor(ledger, folder, "a test")
        ledger.close()
        ledger = successor.open(home, clock)
        say(f"rolled over {ledger.store.log_id.hex()}")
    elif change == "policy":
        outbox.take_document(POLICY, policy(2))
        say("policy 2")
    else:
        put_list(home, ledger, 2)
    add_read(ledger)
    ledger.close()
    say("closed")


if __name__ == "__main__":
    main()
