"""The stored part of each unit's log: leaves, frontier, epoch keys, elements, and how far it is complete.

These functions read and write in an open transaction; the receiver decides. Nothing here opens content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from storage import merkle
from storage.checkpoint import NoteKey
from storage.leaf import origin_of
from sync.department.store.database import Store
from sync.department.store.tables import (
    alert_records,
    alerts,
    bad_records,
    elements,
    epoch_keys,
    leaves,
    logs,
    receipts,
    tokens,
    units,
)
from sync.messages import MAX_TRIES, Bad, SealedKey

OPEN, CLOSED = "open", "closed"
FORM_OPEN, FORM_SEALED = 0, 1
AT_ONCE = 400  # rows named in one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLog:
    """One unit's log as the department holds it."""

    log_no: int
    log_id: bytes
    unit_id: str
    public: Ed25519PublicKey
    state: str
    frontier: merkle.Frontier
    cosigned: str | None
    cosigned_size: int
    revoked: bool
    closed_of: bytes | None = None  # the log that signed the leaves, if it is not this one

    @property
    def leaf_log_id(self) -> bytes:
        """The log that the leaves name."""
        return self.closed_of or self.log_id

    @property
    def note_key(self) -> NoteKey:
        return NoteKey(origin_of(self.log_id), self.public)


def find_log(connection: sa.Connection, log_id: bytes) -> HeldLog | None:
    """Find a log by its id, or None."""
    query = (
        select(logs, units.c.revoked_us)
        .join(units, units.c.unit_id == logs.c.unit_id)
        .where(logs.c.log_id == log_id)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    peaks = bytes(row.peaks)
    return HeldLog(
        log_no=row.log_no,
        log_id=bytes(row.log_id),
        unit_id=row.unit_id,
        public=Ed25519PublicKey.from_public_bytes(bytes(row.public)),
        state=row.state,
        frontier=merkle.Frontier(row.size, [peaks[at : at + 32] for at in range(0, len(peaks), 32)]),
        cosigned=row.cosigned,
        cosigned_size=row.cosigned_size,
        revoked=row.revoked_us is not None,
        closed_of=None if row.closed_of is None else bytes(row.closed_of),
    )


def ids_by_number(connection: sa.Connection) -> dict[int, bytes]:
    """The id of every log by its number."""
    rows = connection.execute(select(logs.c.log_no, logs.c.log_id))
    return {row[0]: bytes(row[1]) for row in rows}


def add_log(
    connection: sa.Connection, *, log_id: bytes, unit_id: str, public: bytes, vouch: bytes, now_us: int
) -> None:
    """Add a new, empty log of a unit."""
    connection.execute(
        insert(logs).values(
            log_id=log_id,
            unit_id=unit_id,
            public=public,
            vouch=vouch,
            state=OPEN,
            size=0,
            peaks=b"",
            opened_us=now_us,
        )
    )


def close_logs(connection: sa.Connection, unit_id: str, *, but: bytes = b"") -> None:
    """Close this unit's logs, except `but`, to further leaves; content that is still due is accepted."""
    connection.execute(
        update(logs).where(logs.c.unit_id == unit_id, logs.c.log_id != but).values(state=CLOSED)
    )


def close_log(connection: sa.Connection, log_no: int) -> None:
    """Close this log to further leaves; content that is still due is accepted."""
    connection.execute(update(logs).where(logs.c.log_no == log_no).values(state=CLOSED))


def add_leaves(  # noqa: PLR0917 - one call, one row each
    store: Store,
    connection: sa.Connection,
    log: HeldLog,
    rows: Sequence[tuple[bytes, int]],
    frontier: merkle.Frontier,
    cosigned: str | None,
) -> None:
    """Append leaves. `rows`: (leaf, number of missing elements); `frontier`: of the tree with them."""
    first = log.frontier.size
    store.add_rows(
        connection,
        leaves,
        [(log.log_no, first + at, leaf, missing) for at, (leaf, missing) in enumerate(rows)],
    )
    values: dict[str, object] = {"size": frontier.size, "peaks": b"".join(frontier.peaks)}
    if cosigned is not None:
        values |= {"cosigned": cosigned, "cosigned_size": frontier.size}
    connection.execute(update(logs).where(logs.c.log_no == log.log_no).values(values))


def leaves_from(connection: sa.Connection, log_no: int, first: int, count: int) -> list[bytes]:
    """Stored leaves in order."""
    rows = connection.execute(
        select(leaves.c.leaf)
        .where(leaves.c.log_no == log_no, leaves.c.sequence >= first, leaves.c.sequence < first + count)
        .order_by(leaves.c.sequence)
    )
    return [bytes(row[0]) for row in rows]


def root_at(connection: sa.Connection, log_no: int, size: int) -> bytes:
    """The root over the first `size` leaves, computed from the leaves themselves."""
    query = (
        select(leaves.c.leaf)
        .where(leaves.c.log_no == log_no, leaves.c.sequence < size)
        .order_by(leaves.c.sequence)
        .execution_options(yield_per=1000)
    )
    return merkle.root_of(merkle.leaf_hash(bytes(row[0])) for row in connection.execute(query))


def missing_of(
    connection: sa.Connection, log_no: int, sequences: Iterable[int]
) -> dict[int, tuple[bytes, int]]:
    """sequence -> (leaf, number of elements still missing), for the leaves that are held."""
    found: dict[int, tuple[bytes, int]] = {}
    for some in _some(sorted(set(sequences))):
        rows = connection.execute(
            select(leaves.c.sequence, leaves.c.leaf, leaves.c.missing).where(
                leaves.c.log_no == log_no, leaves.c.sequence.in_(some)
            )
        )
        found |= {row[0]: (bytes(row[1]), row[2]) for row in rows}
    return found


def names_held(connection: sa.Connection, log_no: int, sequences: Iterable[int]) -> set[tuple[int, str]]:
    """(sequence, name) of the elements of these records that are stored or given up."""
    found: set[tuple[int, str]] = set()
    for some in _some(sorted(set(sequences))):
        for table in (elements, bad_records):
            query = select(table.c.sequence, table.c.name).where(
                table.c.log_no == log_no, table.c.sequence.in_(some)
            )
            if table is bad_records:
                query = query.where(bad_records.c.given_up_us.is_not(None))
            found |= {(row[0], row[1]) for row in connection.execute(query)}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NewElement:
    """One element to store, in its row or in a pack."""

    sequence: int
    name: str
    form: int
    stored: bytes | None
    pack: str | None = None
    offset: int | None = None
    length: int | None = None
    token: bytes | None = None


def add_elements(
    store: Store, connection: sa.Connection, log_no: int, day: int, new: Sequence[NewElement]
) -> None:
    """Store elements under a day of receipt, and count them off their records."""
    store.add_rows(
        connection,
        elements,
        [(day, log_no, one.sequence, one.name, one.form, one.stored, one.pack, one.offset, one.length)
         for one in new],
    )  # fmt: skip
    store.add_rows(
        connection,
        tokens,
        [(day, one.token, log_no, one.sequence) for one in new if one.token is not None],
    )
    count_off(connection, log_no, [one.sequence for one in new])


def count_off(connection: sa.Connection, log_no: int, sequences: Sequence[int]) -> None:
    """Subtract one from a record's missing elements for each time it is named."""
    times: dict[int, int] = {}
    for sequence in sequences:
        times[sequence] = times.get(sequence, 0) + 1
    by_count: dict[int, list[int]] = {}
    for sequence, count in times.items():
        by_count.setdefault(count, []).append(sequence)
    for count, numbers in by_count.items():
        for some in _some(numbers):
            connection.execute(
                update(leaves)
                .where(leaves.c.log_no == log_no, leaves.c.sequence.in_(some))
                .values(missing=leaves.c.missing - count)
            )


def has_sealed(connection: sa.Connection, day: int) -> bool:
    """Whether a day of receipt has content under its store key."""
    sealed = (elements.c.day == day) & (elements.c.form == FORM_SEALED)
    return connection.execute(select(elements.c.day).where(sealed).limit(1)).first() is not None


def reads_by_token(
    connection: sa.Connection, wanted: Mapping[int, Sequence[bytes]]
) -> list[tuple[int, int, int]]:
    """(day, log number, record) of the reads with one of these search tokens, by day of receipt.

    On PostgreSQL one join that prunes to one partition a day as it runs: a branch a day would be planned
    against every partition, 365 times 365.
    """
    if not wanted:
        return []
    if connection.dialect.name == "postgresql":
        asked = [(day, token) for day in sorted(wanted) for token in wanted[day]]
        pairs = func.unnest(
            sa.cast(sa.bindparam("days", [day for day, _ in asked]), ARRAY(sa.Integer)),
            sa.cast(sa.bindparam("wanted", [token for _, token in asked]), ARRAY(sa.LargeBinary)),
        ).table_valued(sa.column("day", sa.Integer), sa.column("token", sa.LargeBinary))
        pairs = pairs.render_derived(name="wanted")
        query = select(tokens.c.day, tokens.c.log_no, tokens.c.sequence).join(
            pairs, (tokens.c.day == pairs.c.day) & (tokens.c.token == pairs.c.token)
        )
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]
    found: list[tuple[int, int, int]] = []
    for some in _some(sorted(wanted)):
        branches = [
            select(tokens.c.day, tokens.c.log_no, tokens.c.sequence).where(
                tokens.c.day == sa.literal_column(str(int(day))), tokens.c.token.in_(wanted[day])
            )
            for day in some
        ]
        found += [(row[0], row[1], row[2]) for row in connection.execute(sa.union_all(*branches))]
    return found


def complete_to(connection: sa.Connection, log: HeldLog) -> int:
    """The first record whose content is still due; before it, all was stored, given up or requested again."""
    again = select(bad_records.c.sequence).where(
        bad_records.c.log_no == log.log_no, bad_records.c.given_up_us.is_(None)
    )
    query = select(func.min(leaves.c.sequence)).where(
        leaves.c.log_no == log.log_no, leaves.c.missing > 0, leaves.c.sequence.not_in(again)
    )
    lowest = connection.execute(query).scalar()
    if lowest is not None:
        return int(lowest)
    return int(connection.execute(select(logs.c.size).where(logs.c.log_no == log.log_no)).scalar_one())


def epoch_keys_of(connection: sa.Connection, log_no: int) -> dict[int, tuple[bytes, bytes]]:
    """epoch -> (day key id, sealed epoch key), as the unit sent them."""
    rows = connection.execute(
        select(epoch_keys.c.epoch, epoch_keys.c.day_key, epoch_keys.c.sealed).where(
            epoch_keys.c.log_no == log_no
        )
    )
    return {row[0]: (bytes(row[1]), bytes(row[2])) for row in rows}


def put_epoch_keys(connection: sa.Connection, log_no: int, keys: Sequence[SealedKey]) -> None:
    """Store sealed epoch keys; one that is sent again replaces the first."""
    for key in keys:
        done = connection.execute(
            update(epoch_keys)
            .where(epoch_keys.c.log_no == log_no, epoch_keys.c.epoch == key.epoch)
            .values(day_key=key.day_key, sealed=key.sealed)
        )
        if not done.rowcount:
            connection.execute(
                insert(epoch_keys).values(
                    log_no=log_no, epoch=key.epoch, day_key=key.day_key, sealed=key.sealed
                )
            )


def count_bad(  # noqa: PLR0917
    connection: sa.Connection, log_no: int, sequence: int, name: str, reason: str, now_us: int, *, final: bool
) -> Bad:
    """Count a bad element; the third time, or if `final`, it is given up so that it blocks nothing."""
    where = (
        (bad_records.c.log_no == log_no) & (bad_records.c.sequence == sequence) & (bad_records.c.name == name)
    )
    row = connection.execute(select(bad_records.c.tries).where(where)).first()
    tries = 1 if row is None else row[0] + 1
    final = final or tries >= MAX_TRIES
    values = {"tries": tries, "reason": reason, "given_up_us": now_us if final else None}
    if row is None:
        connection.execute(insert(bad_records).values(log_no=log_no, sequence=sequence, name=name, **values))
    else:
        connection.execute(update(bad_records).where(where).values(values))
    if final:
        count_off(connection, log_no, [sequence])
    return Bad(sequence=sequence, name=name, reason=reason, final=final)


def forgive(connection: sa.Connection, log_no: int, sequences: Iterable[int]) -> None:
    """Clear the bad elements of these records that were accepted after all."""
    for some in _some(sorted(set(sequences))):
        connection.execute(
            sa.delete(bad_records).where(
                bad_records.c.log_no == log_no,
                bad_records.c.sequence.in_(some),
                bad_records.c.given_up_us.is_(None),
            )
        )


def not_whole(connection: sa.Connection, log_no: int, first: int, end: int) -> list[int]:
    """Records in [first, end) with an element that was given up, or that was bad and is still missing."""
    query = (
        select(bad_records.c.sequence)
        .distinct()
        .where(
            bad_records.c.log_no == log_no,
            bad_records.c.sequence >= first,
            bad_records.c.sequence < end,
        )
        .order_by(bad_records.c.sequence)
    )
    return [row[0] for row in connection.execute(query)]


def wanted_again(connection: sa.Connection, log_no: int) -> list[int]:
    """Records with an element that was bad and is not given up."""
    query = select(bad_records.c.sequence).distinct().where(
        bad_records.c.log_no == log_no, bad_records.c.given_up_us.is_(None)
    )  # fmt: skip
    return sorted(row[0] for row in connection.execute(query))[:MAX_AGAIN]


def alert_leaves(connection: sa.Connection, log_no: int, first: int, end: int) -> dict[int, bytes]:
    """Leaves that came ahead as alerts, in [first, end)."""
    query = select(alerts.c.sequence, alerts.c.leaf).where(
        alerts.c.log_no == log_no, alerts.c.sequence >= first, alerts.c.sequence < end
    )
    return {row[0]: bytes(row[1]) for row in connection.execute(query)}


def alerts_before(connection: sa.Connection, log_no: int, size: int) -> list[tuple[int, bytes]]:
    """(record, parcel as received) of the alerts whose place in the log is before `size`."""
    query = select(alerts.c.sequence, alerts.c.parts).where(
        alerts.c.log_no == log_no, alerts.c.sequence < size
    )
    return [(row[0], bytes(row[1])) for row in connection.execute(query.order_by(alerts.c.sequence))]


def has_receipt(connection: sa.Connection, log_no: int, first: int, end: int) -> bool:
    """Whether a receipt for this range was stored, so that a repeated request does not store it again."""
    query = select(receipts.c.receipt_no).where(
        receipts.c.log_no == log_no, receipts.c.first == first, receipts.c.end == end
    )
    return connection.execute(query.limit(1)).first() is not None


def note_alerts(connection: sa.Connection, log_no: int, day: int, sequences: Iterable[int]) -> None:
    """Note that these records, whose content is stored, are of alerts; known ones are skipped."""
    wanted = sorted(set(sequences))
    for some in _some(wanted):
        query = select(alert_records.c.sequence).where(
            alert_records.c.log_no == log_no, alert_records.c.sequence.in_(some)
        )
        known = {row[0] for row in connection.execute(query)}
        fresh = [{"log_no": log_no, "sequence": one, "day": day} for one in some if one not in known]
        if fresh:
            connection.execute(insert(alert_records), fresh)


def drop_alert(connection: sa.Connection, log_no: int, sequence: int) -> None:
    """Delete an alert whose elements were accepted."""
    connection.execute(sa.delete(alerts).where(alerts.c.log_no == log_no, alerts.c.sequence == sequence))


MAX_AGAIN = 1000


def _some(numbers: Sequence[int]) -> Iterable[Sequence[int]]:
    for at in range(0, len(numbers), AT_ONCE):
        yield numbers[at : at + AT_ONCE]
