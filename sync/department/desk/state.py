"""The desk's whole state, folded from the entries of the access log. No I/O.

It has no other source. Each part belongs to its noun's module, and `apply` feeds it every entry that changes
state, in order. `policy` and `root` are those of the newest root entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.errors import RecordError
from storage.times import day_number
from sync import root_file
from sync.department.desk.alerts.rules import AlertStates
from sync.department.desk.audit.cases import Cases
from sync.department.desk.audit.rules import Findings
from sync.department.desk.break_glass.rules import Glass
from sync.department.desk.changes.rules import ChangeStates
from sync.department.desk.documents.covert import CovertEntries
from sync.department.desk.documents.sent import Sent
from sync.department.desk.grants.rules import Grants, Settled
from sync.department.desk.holds.rules import Holds
from sync.department.desk.inquiry.rules import InquiryQueue
from sync.department.desk.machine.joined import JoinedUnits
from sync.department.desk.people.rules import Accounts
from sync.department.desk.people.training import Trainings
from sync.department.desk.redress.rules import Requests
from sync.department.desk.sessions import Sessions
from sync.department.desk.sharing.rules import Shares
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.entries import (
    AccessLogOpened,
    AccountSet,
    CredentialSet,
    Entry,
    EntryOf,
    RootSet,
    WitnessAway,
    WitnessClaimed,
    is_of,
)
from sync.department.journal.hold_entries import Purged
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.machine_entries import KeysListSeen, PurgeAllowed
from sync.department.journal.made_by import MADE
from sync.department.journal.malformed import unread_is_unsigned
from sync.department.journal.signers import Signers
from sync.department.journal.unit_logs import LogsOfUnits
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.desk_terms import topics_came
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import checked_policy
from sync.root_file import Root

COUNTS_SIGNED = (*MADE, AccountSet, CredentialSet, Access)
"""What counts here only as its person signed it: units would get an account that root made up. Of accesses
it is judged of the begin of an export."""


@dataclass(slots=True)
class DeskState:
    """The folded state, up to (not including) entry `seen`."""

    seen: int = 0
    root: Root | None = None
    rules: Policy | None = None
    document: bytes = b""
    roster: Accounts = field(default_factory=Accounts)
    trainings: Trainings = field(default_factory=Trainings)
    sessions: Sessions = field(default_factory=Sessions)
    signers: Signers = field(default_factory=Signers)
    queue: InquiryQueue = field(default_factory=InquiryQueue)
    changes: ChangeStates = field(default_factory=ChangeStates)
    cases: Cases = field(default_factory=Cases)
    glass: Glass = field(default_factory=Glass)
    findings: Findings = field(default_factory=Findings)
    shares: Shares = field(default_factory=Shares)
    holds: Holds = field(default_factory=Holds)
    grants: Grants = field(default_factory=Grants)
    covert: CovertEntries = field(default_factory=CovertEntries)
    sent: Sent = field(default_factory=Sent)
    settled: Settled = field(default_factory=Settled)
    alerts: AlertStates = field(default_factory=AlertStates)
    redress: Requests = field(default_factory=Requests)
    joined: JoinedUnits = field(default_factory=JoinedUnits)
    logs: LogsOfUnits = field(default_factory=LogsOfUnits)
    away: EntryOf[WitnessAway] | None = None
    claims: dict[str, EntryOf[WitnessClaimed]] = field(default_factory=dict)
    opened_us: int = 0
    policy_us: int = 0
    purge_through: int = -1
    keys_list: KeysListSeen | None = None
    keys_set_back_us: int = -1
    purged_days: set[str] = field(default_factory=set)
    counted_days: set[str] = field(default_factory=set)
    rows_through: int = -1
    log_sizes: dict[int, int] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        """The policy in force. Raises RecordError before the first root entry."""
        if self.rules is None:
            raise RecordError("no root file is in force yet", where="access log")
        return self.rules

    def _see_keys(self, note: KeysListSeen, at_us: int) -> None:
        if self.keys_list is not None and note.lines < self.keys_list.lines:
            self.keys_set_back_us = at_us
        self.keys_list = note

    def apply(self, entry: Entry) -> None:
        """Take in one entry. Raises a StorageError for a root entry that does not follow the last one.

        A person's act counts only as that person signed it. `department verify` names the rest.
        """
        note = entry.note
        self.seen = entry.sequence + 1
        try:
            with unread_is_unsigned(entry.signed):
                self.signers.apply(entry)
        except UnsignedError:
            if isinstance(note, COUNTS_SIGNED):
                return
        if isinstance(note, RootSet):
            self._set_root(note, entry.stamp.at_us)
            self.policy_us = entry.stamp.at_us
        elif isinstance(note, AccessLogOpened) and not entry.sequence:
            self.opened_us = entry.stamp.at_us
        elif is_of(entry, WitnessAway):
            self.away = entry
        elif is_of(entry, WitnessClaimed):
            self.claims[entry.note.witness] = entry
        elif isinstance(note, KeysListSeen):
            self._see_keys(note, entry.stamp.at_us)
        elif isinstance(note, DayCounted):
            self.counted_days.add(note.day)
            if note.rows is not None:
                self.rows_through = max(self.rows_through, day_number(note.day))
            self.log_sizes |= dict(note.sizes)
        elif isinstance(note, Purged):
            self.purged_days.add(note.day)
        elif isinstance(note, PurgeAllowed):
            self.purge_through = max(self.purge_through, note.through)
        for part in (
            self.roster,
            self.trainings,
            self.sessions,
            self.queue,
            self.changes,
            self.glass,
            self.cases,
            self.findings,
            self.shares,
            self.holds,
            self.grants,
            self.covert,
            self.sent,
            self.settled,
            self.alerts,
            self.redress,
            self.joined,
            self.logs,
        ):
            part.apply(entry)

    def _set_root(self, note: RootSet, at_us: int) -> None:
        if self.root is None:
            root = root_file.open_first(note.root_file, note.root_digest)
        else:
            root = root_file.open_next(note.root_file, self.root)
        self.rules = checked_policy(root, note.policy_file)
        topics = (topic.id for topic in self.rules.training.topics)
        self.trainings.topics = topics_came(self.trainings.topics, topics, at_us)
        self.root = root
        self.document = note.policy_file
