"""Where records of a closed log are held: in the log if they are the same, else in a log beside it.

A closed log takes no more leaves, since its tree is what was co-signed. What comes afterwards is held in a
separate row of `logs` that names the closed log; each record is proved only by its own signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import insert, select

from sync.department.store.database import Store
from sync.department.store.tables import leaves, logs
from sync.department.store.unit_logs import CLOSED, HeldLog, find_log, missing_of
from sync.errors import refuse

TAG = b"alpr-reader/closed-log/v1"
MOST_BESIDE = 16  # contradicting histories of one log; more would be an attack, not damage


def beside(connection: sa.Connection, log_id: bytes) -> list[HeldLog]:
    """The logs that hold what came of a log after it was closed, oldest first."""
    query = select(logs.c.log_id).where(logs.c.closed_of == log_id).order_by(logs.c.log_no)
    found = (find_log(connection, bytes(one)) for one in connection.execute(query).scalars())
    return [one for one in found if one is not None]


def place(
    store: Store, connection: sa.Connection, log: HeldLog, found: Mapping[int, tuple[bytes, int]], now_us: int
) -> tuple[dict[int, HeldLog], list[int]]:
    """Hold each record; returns where, and which records differ from those received in their place.

    found: sequence -> (leaf, number of elements that it needs). Raises RefusedByDepartmentError.
    """
    placed: dict[int, HeldLog] = {}
    ours = missing_of(connection, log.log_no, found)
    contradicting = [one for one in found if one in ours and ours[one][0] != found[one][0]]
    for sequence in found:
        if sequence in ours and sequence not in contradicting:
            placed[sequence] = log
    rest = [one for one in found if one not in placed]
    others = beside(connection, log.log_id) if rest else []
    known = {one.log_no: missing_of(connection, one.log_no, rest) for one in others}
    for one in others:
        for sequence in rest:
            if known[one.log_no].get(sequence, (b"", 0))[0] == found[sequence][0]:
                placed[sequence] = one
    rest = [one for one in rest if one not in placed]
    while rest:
        home = next((one for one in others if not known[one.log_no].keys() & set(rest)), None)
        if home is None:
            free = [(one, [n for n in rest if n not in known[one.log_no]]) for one in others]
            home, some = next(((one, some) for one, some in free if some), (None, rest))
        else:
            some = rest
        if home is None:
            home = _another(connection, log, len(others), now_us)
            others.append(home)
            known[home.log_no] = {}
        _add(store, connection, home, {one: found[one] for one in some})
        placed |= dict.fromkeys(some, home)
        rest = [one for one in rest if one not in placed]
    return placed, contradicting


def beside_name(log_id: bytes, number: int) -> bytes:
    """The id, 32 bytes, of history `number` beside a closed log."""
    return hashlib.sha256(TAG + log_id + number.to_bytes(4, "big")).digest()


def _another(connection: sa.Connection, log: HeldLog, number: int, now_us: int) -> HeldLog:
    if number >= MOST_BESIDE:
        raise refuse("malformed", "too many histories of one closed log: bring the card to the department")
    log_id = beside_name(log.log_id, number)
    vouch = connection.execute(select(logs.c.vouch).where(logs.c.log_no == log.log_no)).scalar_one()
    connection.execute(
        insert(logs).values(
            log_id=log_id,
            unit_id=log.unit_id,
            public=log.public.public_bytes_raw(),
            vouch=vouch,
            state=CLOSED,
            size=0,
            peaks=b"",
            opened_us=now_us,
            closed_of=log.log_id,
        )
    )
    made = find_log(connection, log_id)
    if made is None:
        raise AssertionError("a row that was written is there")
    return made


def _add(
    store: Store, connection: sa.Connection, log: HeldLog, found: Mapping[int, tuple[bytes, int]]
) -> None:
    rows = [(log.log_no, sequence, leaf, missing) for sequence, (leaf, missing) in sorted(found.items())]
    store.add_rows(connection, leaves, rows)


def all_of(connection: sa.Connection, log: HeldLog, after: int, count: int) -> Sequence[tuple[int, bytes]]:
    """(sequence, leaf) of the records after one, in order."""
    query = (
        select(leaves.c.sequence, leaves.c.leaf)
        .where(leaves.c.log_no == log.log_no, leaves.c.sequence > after)
        .order_by(leaves.c.sequence)
        .limit(count)
    )
    return [(int(row[0]), bytes(row[1])) for row in connection.execute(query)]
