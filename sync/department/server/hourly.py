"""The server's hourly work: add a leaf to the log of hourly heads, and show it to the public witnesses.

The absence of public witnesses stops no answer. `department compliance` reports it after a day.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from storage.errors import ExplainedError
from storage.times import HOUR_US, iso_text
from sync.department.desk.desk import Desk
from sync.department.desk.owed import Late, Overdue
from sync.department.journal.hourly_heads import DATABASE, HourlyHeads
from sync.department.journal.publisher import Publisher, WitnessLinks
from sync.department.journal.witness_link import WitnessLink
from sync.errors import HomeError
from sync.root_file import RootWitness

LATE_HOURS = 24
LOCK_FILE = "publish-hourly.lock"
log_events = structlog.get_logger("department.desk")


def publish_hours(desk: Desk, link_of: Callable[[RootWitness], WitnessLink]) -> int:
    """Add the past hours and publish them; return how many a public witness has co-signed.

    That is 0 if the root file names no public witness. Raises SyncError, StorageError.
    """
    named = desk.root.public_witnessing()
    if named is None:
        return 0
    folder = desk.log.folder
    _demand_not_lost(folder)
    links = WitnessLinks(link_of, public=True)
    hours = HourlyHeads(folder, desk.log)
    publisher = Publisher(hours, folder, LOCK_FILE)
    try:
        size = hours.add_hours(desk.now_us())
        return publisher.cover(size - 1, named, links.watchers(desk.root)).size
    finally:
        publisher.close()
        links.close()
        hours.close()


def _demand_not_lost(folder: Path) -> None:
    """Refuse to begin a new log if hours were published before. Raises HomeError."""
    if (folder / LOCK_FILE).exists() and not (folder / DATABASE).is_file():
        raise HomeError(
            "the log of hourly heads is gone",
            where=str(folder / DATABASE),
            cure="restore it from its backup; if it is lost for good, name other public witnesses, and then "
            f"move {LOCK_FILE} away",
        )


def run(desk: Desk, link_of: Callable[[RootWitness], WitnessLink]) -> None:
    """Do `publish_hours` for a server, which must keep running if it fails."""
    try:
        publish_hours(desk, link_of)
    except ExplainedError as error:
        log_events.warning("hourly_failed", kind=type(error).__name__)


def overdue(desk: Desk, now_us: int) -> list[Overdue]:
    """Lines of the compliance list: no witness is named, or no public one was reached for a day."""
    clause = desk.policy.witness.clause
    if not desk.root.witnesses:
        what = (
            "the root file names no witness: no answer leaves, and no removed lookup would be seen "
            "(name one: department keys draft --witness)"
        )
        return [Overdue(kind=Late.WITNESS, clause=clause, what=what)]
    if not desk.root.public_witnesses:
        return []
    since_us = desk.book.policy_us
    try:
        _demand_not_lost(desk.log.folder)
    except HomeError as error:
        return [Overdue(kind=Late.WITNESS, clause=clause, what=str(error))]
    if (desk.log.folder / DATABASE).is_file():
        hours = HourlyHeads(desk.log.folder, desk.log)
        since_us = max(since_us, hours.published_us())
        hours.close()
    if now_us - since_us < LATE_HOURS * HOUR_US:
        return []
    what = f"no public witness co-signed the hourly heads since {iso_text(since_us, to='second')}"
    return [Overdue(kind=Late.WITNESS, clause=clause, what=what)]
