"""The work behind the desk's calls about units and the store: codes, revocation, a purge before its hour."""

from __future__ import annotations

import functools
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.times import day_text
from sync.department.content.key_service import ReceivingKeys
from sync.department.desk.context import PurgedDay
from sync.department.desk.desk import Desk
from sync.department.ground.department_time import Clocks, DepartmentTime
from sync.department.ground.home import DepartmentHome
from sync.department.server import daily, older_store
from sync.department.server.retention import StoreRetention
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store
from sync.department.units import destructions, documents
from sync.department.units.authority import Authority
from sync.department.units.enrollment import Enrollment
from sync.enrollment_code import EnrollmentCode
from sync.root_file import Root


def enrollment_of(home: DepartmentHome, store: Store, clock: Callable[[], int]) -> Enrollment:
    """The object that makes codes for units and revokes units."""
    authority = Authority.open(home.authority, clock)
    return Enrollment(store, authority, home.log_key(), home.settings, home.root_file, clock)


def let_join(  # noqa: PLR0917 - what a code touches
    home: DepartmentHome,
    store: Store,
    keys: ReceivingKeys,
    name: str,
    code: EnrollmentCode,
    clock: Callable[[], int],
    *,
    said: documents.Said,
    root: Root,
) -> int:
    """Keep a one-time code for a new unit of that name; return for how many hours. Raises
    InvalidInputError."""
    if (home.path / "command.key").exists():  # otherwise its holder signs the documents by hand
        documents.refresh(home, store, keys, clock(), said=said, root=root)
    enrollment_of(home, store, clock).keep_code(name, code)
    return home.settings.code_hours


def take_reset(store: Store, receipt: bytes, clock: Callable[[], int]) -> tuple[str, int, int]:
    """Keep a destruction receipt; return (unit's id, reads that were never delivered, records).

    Raises RefusedByDepartmentError.
    """
    said = destructions.take(store, receipt, clock())[1]
    return said.unit_id, said.undelivered, said.size


def purge(  # noqa: PLR0917 - what a purge touches
    home: DepartmentHome,
    store: Store,
    keys: ReceivingKeys,
    packs: PackStore,
    desk: Desk,
    clock: Callable[[], int],
    log_key: Ed25519PrivateKey,
) -> list[PurgedDay]:
    """Purge as the daily run does, and enter each day in the log. `log_key`: with which the desk opened the
    log."""
    time = clock
    if not isinstance(time, DepartmentTime):
        time = DepartmentTime(home.path, Clocks(wall=clock, running=clock, boot=lambda: "as given"))
    retention = StoreRetention(
        store,
        keys,
        packs,
        log_key,
        home.settings,
        time,
        keep_days=lambda: desk.policy.retention.keep_days,
        first=functools.partial(older_store.first_purge, desk),
    )
    done = retention.run(desk.book.purge_through)
    daily.enter_purges(desk, retention)
    return [
        PurgedDay(
            day=day_text(one.day),
            records=one.records,
            elements=one.elements,
            packs=one.packs,
            clause=one.clause,
        )
        for one in done
    ]
