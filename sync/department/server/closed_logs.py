"""What a closed log's folder, brought from a unit, holds beyond what the department received of that log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from storage.errors import NoHomeError, StorageError
from sync.department.store import unit_logs as held
from sync.department.store.database import Store
from sync.errors import ConfigError
from sync.handover import BadRecord, HandedRecord, open_handover

AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Counts of records, without anything of their content.

    verified: signed by the log's key, in their place. bad: not. received: the department has the same record,
    with all its content or more. lacking: the department lacks the record or some of its content, and the
    folder has it. contradicting: the department holds another record in that place. lost: content that is
    gone or altered in the folder; what the unit purged is among it. keys: sealed epoch keys beside it.
    """

    log: str
    unit: str
    verified: int
    bad: int
    received: int
    lacking: int
    contradicting: int
    lost: int
    keys: int


def examine_closed_log(store: Store, folder: Path) -> Examined:
    """Hold a folder `sync/old/LOG` of a unit against the store. Reads only. Raises ConfigError."""
    try:
        with open_handover(folder) as handover, store.read() as connection:
            log = held.find_log(connection, handover.log_id)
            if log is None:
                raise ConfigError("is the log of no unit of this department", where=str(folder))
            counts = dict.fromkeys(("verified", "bad", "received", "lacking", "contradicting", "lost"), 0)
            for some in _portions(handover.records()):
                _count(connection, log.log_no, some, counts)
            return Examined(
                log=handover.log_id.hex()[:16], unit=log.unit_id, keys=len(handover.keys), **counts
            )
    except NoHomeError:
        raise ConfigError(
            "holds no closed log", where=str(folder), cure="name HOME/sync/old/LOG of the unit, copied whole"
        ) from None
    except (StorageError, OSError) as error:
        raise ConfigError(f"cannot be read as a closed log: {error}", where=str(folder)) from None


def _portions(
    records: Iterator[HandedRecord | BadRecord],
) -> Iterator[list[HandedRecord | BadRecord]]:
    while some := list(islice(records, AT_ONCE)):
        yield some


def _count(
    connection: sa.Connection, log_no: int, some: list[HandedRecord | BadRecord], counts: dict[str, int]
) -> None:
    sequences = [one.sequence for one in some if isinstance(one, HandedRecord)]
    ours = held.missing_of(connection, log_no, sequences)
    names = held.names_held(connection, log_no, sequences)
    for one in some:
        if isinstance(one, BadRecord):
            counts["bad"] += 1
            continue
        counts["verified"] += 1
        counts["lost"] += len(one.lost)
        leaf, missing = ours.get(one.sequence, (None, 0))
        if leaf is not None and leaf != one.leaf:
            counts["contradicting"] += 1
        elif leaf is None or (missing and any((one.sequence, name) not in names for name, _ in one.elements)):
            counts["lacking"] += 1
        else:
            counts["received"] += 1
