"""A store that offers units older documents than the log names, because it was restored from a backup.

Units accept only newer versions, so an older roster would silently leave a dismissed person on them. What
follows from the home and the log is offered again above the log's version. What only a person signs is
reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from storage.grant_format import REVOCATIONS
from storage.times import day_text
from sync.department.content.key_service import ReceivingKeys
from sync.department.desk.desk import Desk
from sync.department.desk.documents.sent import place_of
from sync.department.desk.grants.signer import GrantOffice
from sync.department.desk.owed import Late, Overdue
from sync.department.ground.home import DepartmentHome
from sync.department.journal.hold_entries import Purged
from sync.department.server import offered, roster
from sync.department.server.following import FOLLOWING, bodies
from sync.department.store import tables
from sync.department.store.database import Store
from sync.department.store.joined_units import one_joined
from sync.department.units import documents
from sync.hot_lists.document import DELTA, HEAD, PART

STEPS = (f"{DELTA}/", f"{PART}/")  # a list is sent whole again with its head; a shorter one has fewer parts
CURES = {
    f"{HEAD}/": "push or change that list again",
    "configuration": "sign it again: department send",
    "update/": "sign it again: department send",
}
DAILY = "department serve offers it again at its start and daily, where the command key is there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A document of which the store offers an older version than units were offered. `out`: 0 for none."""

    name: str
    unit: str
    said: int
    out: int


def said_by(desk: Desk) -> documents.Said:
    """What this desk's log says of documents, from the book as it is at each call."""
    return lambda name, unit_id: desk.book.sent.version(name, unit_id)  # noqa: PLW0108 - the book is replaced


def behind(store: Store, desk: Desk) -> list[Behind]:
    """Every document that is behind, by name."""
    d = tables.documents.c
    with desk.looking() as book:
        newest = dict(book.sent.newest)
    with store.listing() as connection:
        rows = connection.execute(select(d.name, d.unit_id, d.version)).all()
    here = {place_of(row.name, row.unit_id): int(row.version) for row in rows}
    found = [
        (where.partition(" "), said, here.get(where, 0))
        for where, said in sorted(newest.items())
        if here.get(where, 0) < said
    ]
    return [
        Behind(name=name, unit=unit, said=said, out=out)
        for (name, _, unit), said, out in found
        if not name.startswith(STEPS)
    ]


def overdue(store: Store, desk: Desk) -> Iterator[Overdue]:
    """Lines of the compliance list, until what is offered is newer than anything offered before."""
    for one in behind(store, desk):
        what = f"unit {one.unit[:16]} holds" if one.unit else "units hold"
        offers = f"the store offers {one.out}" if one.out else "the store offers none"
        cure = next((cure for name, cure in CURES.items() if one.name.startswith(name)), DAILY)
        what += f" {one.name} {one.said}, {offers}: the store is older than the log (from a backup?): {cure}"
        kind = Late.ROSTER if one.name == roster.NAME else Late.STORE
        yield Overdue(kind=kind, clause="463.3", what=what)


def first_purge(desk: Desk, day: int) -> Purged | None:
    """What the log says of the purge of a day of receipt (days since 1970); None while it names none."""
    name = day_text(day)
    with desk.looking() as book:
        if name not in book.purged_days:
            return None
    notes = (one.note for one in desk.log.entries(kinds=(Purged.KIND,)))
    return next((one for one in notes if isinstance(one, Purged) and one.day == name), None)


def ended(store: Store, desk: Desk, unit_id: str) -> bool:
    """Whether a unit's newest entry in the log is a revocation, which a restored store may lack. Raises
    StoreError."""
    with desk.looking() as book:
        if not book.joined.revoked and not book.joined.listed_revoked:
            return False
    with store.listing() as connection:
        unit = one_joined(connection, unit_id)
    with desk.looking() as book:
        return unit is not None and book.joined.ended(unit)


def send_down(home: DepartmentHome, store: Store, keys: ReceivingKeys, desk: Desk) -> list[str]:
    """Offer units everything that changed or that the store lacks: policy, roster, day keys. Returns the
    names.

    Raises SyncError.
    """
    desk.refresh()
    names = documents.refresh(home, store, keys, desk.now_us(), said=said_by(desk), root=desk.root)
    if roster.publish(home, store, desk) is not None:
        names.append(roster.NAME)
    lacking = {one.name for one in behind(store, desk)}
    # without its file, the list from before the log would be lost under a higher version
    if REVOCATIONS in lacking and (home.path / "revocations.cbor").exists():
        office = GrantOffice(home, store, said_by(desk))
        office.revoke(sorted(desk.book.grants.revoked), desk.now_us())
        names.append(REVOCATIONS)
    if again := lacking & FOLLOWING:
        offer_cleared(home, store, desk)
        names += sorted(again)
    return list(dict.fromkeys(names))  # a roster can be sent twice: first empty, then with people


def offer_cleared(home: DepartmentHome, store: Store, desk: Desk) -> None:
    """Offer units the cleared plates and the muted sources. Without the command key, they get them later."""
    if not (home.path / "command.key").exists():
        return
    with desk.log.writing():  # no entry comes between their source and their own entries
        desk.refresh()
        for name, body in bodies(desk.book).items():
            documents.send(home, store, name, body, desk.now_us(), said=said_by(desk))
        offered.enter(home, desk, store)
