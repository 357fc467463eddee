"""What the desk's calls work with: the desk, the reads, the key service, the vault of held content."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from storage.read_records import Alert
from sync.department.content.alert_records import AlertRecords
from sync.department.content.key_door import KeyDoor
from sync.department.content.package import PackageOrder
from sync.department.content.reads import OpenedRead, Reads, StoredRead
from sync.department.desk.alerts.planting import Planting
from sync.department.desk.alerts.watchers import Watchers
from sync.department.desk.audit.kept import KeptRequests
from sync.department.desk.desk import Desk
from sync.department.desk.documents.updates import UpdateTrust
from sync.department.desk.grants.signer import GrantOffice
from sync.department.desk.inquiry.pace import SearchPace, UnderWay
from sync.department.desk.owed import Ending, Overdue
from sync.department.desk.redress.rules import AddressPace
from sync.department.desk.transparency.counts import PublicCounts
from sync.department.ground.bell import Bell
from sync.department.ground.department_time import DepartmentTime
from sync.department.journal.machine_entries import LostRows
from sync.department.store.dated_rows import CountedRows
from sync.department.store.incidents import StoredIncident
from sync.department.store.joined_units import JoinedUnit
from sync.department.units.hot_lists import Offer, Published
from sync.department.units.outgoing_list import OutgoingList
from sync.enrollment_code import EnrollmentCode
from sync.hot_lists.document import ListHead
from sync.hot_lists.entry import ListEntry


class Vault(Protocol):
    """Stores held content as ciphertext, named after the access entry under which it was sealed."""

    def keep(self, access: int, reads: list[StoredRead]) -> tuple[bytes, ...]:
        """Write the reads of a hold and sync them to disk; return the SHA-256 of each file."""
        ...

    def stored(self, access: int) -> list[StoredRead]:
        """The reads of a hold, still sealed."""
        ...

    def demand_whole(self, access: int, reads: int) -> None:
        """Raise unless this many reads of a hold are here."""
        ...

    def whole(self, access: int, names: tuple[str, ...], content: tuple[bytes, ...]) -> list[StoredRead]:
        """The reads of a hold, still sealed, checked against the entry's names and file digests."""
        ...

    def destroy(self, access: int) -> None:
        """Remove a hold's content."""
        ...

    def count(self, access: int) -> int:
        """How many reads of a hold are here."""
        ...

    def kept(self) -> list[int]:
        """The holds whose content is here."""
        ...


class Incidents(Protocol):
    """The incidents of units' logs in the store."""

    def listed(self) -> list[StoredIncident]:
        """All of them, oldest first."""
        ...

    def settle(self, number: int, first: str, second: str, at_us: int) -> None:
        """Note that two people closed an incident."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """One unit as it last described itself, in numbers and fixed words, without a place. -1: not known.

    `silent`: it has not synced for days; `reset_us`: when the receipt of its factory reset came, after which
    it waits to be taken out of service; `certificate_ends_us`: the end of its newest certificate;
    `clock_off`: how far its clock was off when its newest report came.
    """

    unit: str
    name: str
    enrolled_us: int
    seen_us: int
    report_us: int
    silent: bool
    alarms: tuple[str, ...]
    software: str
    reads_this_hour: int
    unacknowledged: int
    clock: str
    disk_free_mb: int
    certificate_ends_us: int
    reset_us: int = -1
    clock_off: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedDocument:
    """The newest version of a document that units are offered.

    `unit`, `unit_name`: the unit that it is for; both are empty if it is for every unit.
    """

    name: str
    version: int
    unit: str
    unit_name: str
    size: int
    offered_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDay:
    """One day of receipt in the store (days since 1970, UTC). `purged_us`: -1 while it is kept."""

    day: int
    purged_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgedDay:
    """A day of receipt (YYYY-MM-DD, UTC) that was purged, and what was purged."""

    day: str
    records: int
    elements: int
    packs: int
    clause: str


class StoreState(Protocol):
    """What the store knows of units and days."""

    def units(self, now_us: int) -> list[UnitRow]:
        """Every unit that is not revoked, by name."""
        ...

    def joined(self) -> list[JoinedUnit]:
        """Every unit, including revoked ones, with the codes by which it joined."""
        ...

    def unit_logs(self) -> list[tuple[str, str, str]]:
        """(id of the log in hex, id of its unit, the unit's name) of every log."""
        ...

    def days(self) -> list[KeptDay]:
        """Every day of receipt, the oldest first."""
        ...

    def rows_to(self, first: int, last: int) -> tuple[CountedRows, ...]:
        """The dated rows of these days (since 1970, UTC), by table; `first` -1 or less: all up to `last`."""
        ...

    def log_sizes(self) -> dict[int, int]:
        """How many records of each unit's log are co-signed, by the log's number in the store."""
        ...

    def offered(self) -> list[OfferedDocument]:
        """The configurations and updates that units are offered, by name."""
        ...


@dataclass(frozen=True, slots=True)
class DeskContext:
    """One department's desk with its content behind it.

    `notify_units`: offer units the current roster; if that fails, `compliance` says so. `send_down`: offer
    policy, roster and day keys; if that fails, raise an error. `sign_document`: sign a document (name, body,
    now, unit) with the command key and offer it; its version. `update_trust`: whom the images trust for
    releases and bundles, as far as it was copied to the home. `exports`: the folder into which CAD or RMS
    drops its case numbers, as CSV. `finish_lists`: keep or drop what a kill left of lists being sent; raises
    only for the named one. `lists_mark`: changes once the newest version of a list is in place. `new_code`: a
    one-time code for a unit, which is of no use until `let_join` keeps it. `let_join`: keep a code for the
    unit of that name; for how many hours it is valid. `shut_out`: revoke a unit (name or id, why). `purge`:
    purge now what the daily run purges. `take_reset`: keep a destruction receipt: its unit, reads not
    delivered, records. `close`: close the desk and what was opened only for it. `lacking`: what the store has
    less of than the log counted. `offer_cleared`: offer units the cleared plates; `enter_sent`: enter what
    units are offered. `keys_list`: the key service's own list, from a line on. `alert_facts`: what units
    recorded of alerts, opened in this process; `opening`: held during that. `bell`: rung when an alert
    arrives or changes; `watchers`: who follows the alerts. `planting`: when planted mismatches are due.
    `time`: the department's time, if the server's clock is behind it. `ending`: certificates and day keys;
    `ask_peers`: ask other offices' servers for their certificates. `redress`: how often each address of the
    public asked; `public_counts`: what everyone may see. `keys_elsewhere`: whether the key service runs on a
    separate machine. `pace`, `under_way`: how fast searches open reads here, and how far those under way have
    come. `reading`: held while a long list is read: one at a time, in bounded memory. `requests`: the ALPR
    Requests, as far as the log was read.
    """

    desk: Desk
    reads: Reads
    door: KeyDoor
    vault: Vault
    package: Callable[[list[OpenedRead], PackageOrder], bytes]
    overdue_from_store: Callable[[int], list[Overdue]]
    notify_units: Callable[[], None]
    send_down: Callable[[], list[str]]
    sign_document: Callable[[str, bytes, int, str], int]
    update_trust: Callable[[], UpdateTrust]
    exports: Path
    incidents: Incidents
    grants: GrantOffice
    alerts: AlertRecords
    finish_lists: Callable[[str], None]
    publish_list: Callable[[Offer, Iterable[ListEntry], int], Published]
    lists_out: Callable[[], list[ListHead]]
    list_entries: Callable[[str], list[ListEntry]]
    entries_under: Callable[[str, Collection[int]], list[ListEntry] | None]
    lists_mark: Callable[[], frozenset[tuple[str, int, int]]]
    own_list: OutgoingList
    state: StoreState
    new_code: Callable[[], EnrollmentCode]
    let_join: Callable[[str, EnrollmentCode], int]
    shut_out: Callable[[str, str], None]
    purge: Callable[[], list[PurgedDay]]
    take_reset: Callable[[bytes], tuple[str, int, int]]
    close: Callable[[], None]
    lacking: Callable[[], tuple[LostRows, ...]] = lambda: ()
    offer_cleared: Callable[[], None] = lambda: None
    enter_sent: Callable[[], int] = lambda: 0
    keys_list: Callable[[int], list[bytes]] = lambda _first: []
    alert_facts: dict[str, Alert] = field(default_factory=dict, repr=False)
    opening: threading.Lock = field(default_factory=threading.Lock)
    bell: Bell = field(default_factory=Bell)
    watchers: Watchers = field(default_factory=Watchers)
    planting: Planting = field(default_factory=Planting)
    time: DepartmentTime | None = None
    ending: Callable[[], list[Ending]] = list
    ask_peers: Callable[[], None] = lambda: None
    redress: AddressPace = field(default_factory=AddressPace)
    public_counts: PublicCounts = field(default_factory=PublicCounts)
    keys_elsewhere: bool = False
    pace: SearchPace = field(default_factory=SearchPace)
    under_way: UnderWay = field(default_factory=UnderWay)
    reading: threading.Lock = field(default_factory=threading.Lock)
    requests: KeptRequests = field(default_factory=KeptRequests)


ELEMENTS = ("overview", "patch", "place", "text")
