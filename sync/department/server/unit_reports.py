"""Compares what units report that they accepted with the access log: each list, configuration and grant.

Root with the command key can sign a list, a roster or a grant for units without any entry. But units record
each document that comes into force and each grant under which a person logged in, and deliver these records,
which no key of the department can forge. So anything without an entry is found afterwards. No I/O.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from storage.errors import StorageError
from storage.log_records import FileInForce, GrantTaken
from storage.standing import DOCUMENTS, ENROLLMENT
from storage.times import DAY_US, SECOND_US
from sync.department.content.held_check import OpenHolds
from sync.department.desk.machine.joined import JoinedUnits
from sync.department.journal.change_entries import DocumentSigned
from sync.department.journal.entries import Entry, RootSet, WitnessClaimed
from sync.department.journal.granted import can_destroy, destroyed_by, destroys_records, log_of
from sync.department.journal.machine_entries import DocumentSent
from sync.department.journal.malformed import form_of
from sync.department.journal.office_entries import GrantIssued
from sync.department.journal.unit_logs import LogsOfUnits, StoredLog
from sync.department.server.counted_days import CountedDays, StoredDays
from sync.department.server.drawn_samples import DrawnSamples
from sync.department.server.folded_log import FoldedLog
from sync.department.server.offered import SHUT, UNSIGNED, OfferedNow
from sync.department.store.joined_units import JoinedUnit
from sync.hot_lists.document import HEAD, PART

UnitsNow: TypeAlias = tuple[list[JoinedUnit], list[StoredLog]]
"""The store's units and logs."""

SIGNED_HEADS = (f"{HEAD}/", "configuration", "update/")
"""Documents that a person has signed, one entry each time."""
FOR_ONE_UNIT = ("configuration", "update/", "closed/")
"""Documents that may be for one unit; all others are for every unit alike."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The last record of a unit's log: under which grant a reset ended it, and when.

    `unit_id`: as grants name the unit; `last`: the last read or hit that the department never received, -1
    for none; `holds`: the holds that it destroyed.
    """

    unit: str
    log: str
    grant_id: str
    at_us: int
    unit_id: str
    last: int = -1
    holds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """A grant from the log.

    It says whether it can destroy, whether it gives up records that exist only at a unit, the first digits of
    the only log that it may end, its units, and up to which record and which holds it may destroy. `signed`:
    whether a person signed what it destroys; otherwise nothing proves that.
    """

    digest: bytes
    can_destroy: bool
    of_records: bool
    log: str
    units: tuple[str, ...]
    up_to: int = 0
    holds: tuple[int, ...] = ()
    signed: bool = True

    def wrong_with(self, one: Reset) -> str:
        """What a reset under this grant did that it does not allow; empty if it allows everything."""
        if one.unit_id not in self.units:
            return "which is for other units"
        if not one.log.startswith(self.log):
            return f"which is for log {self.log}: it ended log {one.log[:16]}"
        if self.signed and one.last >= self.up_to:
            return f"which gives up records up to {self.up_to}: record {one.last} was never delivered"
        if self.signed and (kept := set(one.holds).difference(self.holds)):
            return f"which does not give up hold {min(kept)}"
        return ""


@dataclass(slots=True)
class Reported:
    """What units reported: (unit, what it accepted), log after log, and their resets.

    For a grant, it also has what the unit had accepted before it in that log. From the store it has the
    units, the unit of each log, the days of receipt, and the documents that units are offered (None: not
    examined).
    """

    files: list[tuple[str, FileInForce]] = field(default_factory=list)
    grants: list[tuple[str, GrantTaken, tuple[FileInForce, ...]]] = field(default_factory=list)
    resets: list[Reset] = field(default_factory=list)
    units: list[JoinedUnit] = field(default_factory=list)
    logs: list[tuple[str, str, str]] = field(default_factory=list)
    days: StoredDays = field(default_factory=StoredDays)
    documents: list[OfferedNow] | None = None
    _log_at: int = 0
    _proven_us: int = 0

    def begin_log(self) -> None:
        """Begin another log, which the following calls belong to."""
        self._log_at, self._proven_us = len(self.files), 0

    def prove(self, us: int) -> None:
        """Note a time that the department signed before what follows in this log.

        So what follows is later than that, whatever the unit's clock says.
        """
        self._proven_us = max(self._proven_us, us)

    def add_reset(self, said: Reset) -> None:
        """Take in the last record of this log."""
        self.resets.append(replace(said, at_us=max(said.at_us, self._proven_us)))

    def add(self, unit: str, record: FileInForce | GrantTaken) -> None:
        """Take in a unit's record. What it accepted before it joined this department is ignored."""
        if isinstance(record, GrantTaken):
            before = tuple(one for _, one in self.files[self._log_at :])
            self.grants.append((unit, replace(record, at_us=max(record.at_us, self._proven_us)), before))
        elif record.name == ENROLLMENT:
            del self.files[self._log_at :]
        else:
            self.files.append((unit, record))


class CoveredByEntries:
    """Compares the log's entries about documents and grants with what units reported.

    `adopted`: version and digest of the root file that the log last adopted.
    """

    def __init__(self, folded: FoldedLog, samples: DrawnSamples, until: int | None = None) -> None:
        """Begin a comparison. `folded` and `samples` get each entry too.

        `until`: how many entries the log had when the store was read (None: at least as many as now). A later
        one is of what came or went since: it may cover a document, a grant or a unit, but accuses of nothing.
        """
        self._folded, self._samples, self._until = folded, samples, until
        self._sent: set[tuple[str, int, bytes]] = set()
        self._young: set[tuple[str, int, bytes]] = set()  # those signed since the log was opened
        self._out: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._first: dict[str, int] = {}
        self._first_us = 0
        self._opened_us = 0
        self._newest_us = 0
        self._signed: dict[str, int] = defaultdict(int)
        self._offers: dict[str, int] = defaultdict(int)
        self._grants: dict[str, Given] = {}
        self._joined, self._days, self.holds = JoinedUnits(), CountedDays(), OpenHolds()
        self._logs = LogsOfUnits()
        self._joined_now, self._logs_now = JoinedUnits(), LogsOfUnits()  # by all entries
        self._problems: list[str] = []
        self.adopted: tuple[int, bytes] | None = None
        self.claims: list[str] = []

    def judge(self, entry: Entry, *, holds: bool) -> None:
        """Take in the next entry. `holds`: whether its person signed it, or did not have to."""
        note = entry.note
        self._folded.judge(entry)
        self._samples.apply(entry)
        if holds:
            self.holds.apply(entry)
            self._joined_now.apply(entry)
            self._logs_now.apply(entry)
            if isinstance(note, RootSet):
                self.adopted = (note.version, note.root_digest)
        if isinstance(note, WitnessClaimed):
            self.claims.append(f"entry {entry.sequence}: witness {note.witness}: {note.claim}")
        if isinstance(note, DocumentSent):
            self._sent.add((note.name, note.version, note.digest))
        elif isinstance(note, DocumentSigned) and holds:
            self._signed[note.name] += 1
        elif isinstance(note, GrantIssued) and holds:
            self._grants[note.grant_id] = _given(entry, note)
        if self._until is None or entry.sequence < self._until:
            self._take(entry, holds=holds)

    def _take(self, entry: Entry, *, holds: bool) -> None:
        """Take in what the store can lack, or have otherwise than the entry says."""
        note = entry.note
        self._newest_us = entry.stamp.at_us
        self._opened_us = self._opened_us or entry.stamp.at_us
        self._days.apply(entry)
        if holds:
            self._joined.apply(entry)
            if wrong := self._logs.apply(entry):
                self._problems.append(f"entry {entry.sequence}: unit_logs: {wrong}")
        if isinstance(note, DocumentSent):
            self._take_sent(entry, note)

    def _take_sent(self, entry: Entry, note: DocumentSent) -> None:
        if not note.baseline:
            self._young.add((note.name, note.version, note.digest))
        self._out[note.name, note.unit] = (note.version, note.digest)
        self._first.setdefault(note.name, note.version)
        self._first_us = self._first_us or entry.stamp.at_us
        if note.unit and not note.name.startswith(FOR_ONE_UNIT):
            what = f"{note.name} is for every unit, and was offered to unit {note.unit[:16]} separately"
            self._problems.append(f"entry {entry.sequence}: document_sent: {what}")
        if not note.baseline and note.name.startswith(SIGNED_HEADS):
            self._offers[note.name] += 1
            if self._offers[note.name] > self._signed[note.name]:
                self._offers[note.name] = self._signed[note.name]
                what = f"no person signed version {note.version} of {note.name}"
                self._problems.append(f"entry {entry.sequence}: document_sent: {what}")

    def compare(
        self, reported: Reported, now: Callable[[], UnitsNow] | None = None
    ) -> tuple[list[str], list[str]]:
        """(what is wrong, what could not be checked). `now`: reads the store's units again."""
        self._folded.end()
        wrong = [*self._folded.problems, *self._problems, *self._samples.problems]
        unchecked = set(self._folded.unchecked)
        wrong += self._units(reported, now)
        unchecked.update(self._logs.pending(reported.logs))
        wrong += self._not_out(reported)
        offered = list(self._not_entered(reported))
        wrong += [what for is_wrong, what in offered if is_wrong]
        unchecked.update(what for is_wrong, what in offered if not is_wrong)
        days, unchecked_days = self._days.compare(reported.days, self._newest_us)
        wrong += days
        unchecked.update(unchecked_days)
        if reported.units and not self._joined.lists:
            unchecked.add("who let units in: the log does not list those from before (the daily run does)")
        for is_wrong, what in (*self._files(reported), *self._let_in(reported)):
            if is_wrong:
                wrong.append(what)
            else:
                unchecked.add(what)
        return list(dict.fromkeys(wrong)), sorted(unchecked)

    def _units(self, reported: Reported, now: Callable[[], UnitsNow] | None) -> list[str]:
        """Units and their logs of which the log says otherwise.

        A server writes the entry of a code or a revocation first and the store's row after it. So it is wrong
        only if the store of now and all entries differ in the same way.
        """
        found = [*self._joined.differences(reported.units), *self._logs.differences(reported.logs)]
        if not found or now is None:
            return found
        units, logs = now()
        still = {*self._joined_now.differences(units), *self._logs_now.differences(logs)}
        return [one for one in found if one in still]

    def _files(self, reported: Reported) -> Iterator[tuple[bool, str]]:
        """Signed files that units accepted without an entry: (True if wrong, False if unchecked; words)."""
        for unit, record in reported.files:
            if (record.name, record.version, record.digest) in self._sent:
                continue
            if self._is_older(record):
                yield False, f"documents that {unit} took before the log had an entry for each"
            elif self._is_newer(record):
                yield False, f"{record.name} at {unit}: newer than the log's last day"
            else:
                yield True, f"{unit} took {record.name}, version {record.version}: no entry covers it"

    def _let_in(self, reported: Reported) -> Iterator[tuple[bool, str]]:
        """Grants used and resets made at units without an entry; as `_files`."""
        for unit, taken, before in reported.grants:
            known = self._grants.get(taken.grant_id)
            young = any((one.name, one.version, one.digest) in self._young for one in before)
            if known is None and taken.at_us < self._opened_us and not young:
                yield False, f"grants that were used at {unit} before the log was opened"
            elif known is None:
                yield (
                    True,
                    f"{unit} let a person in by grant {taken.grant_id}: no entry covers it (a designee's: "
                    "department grant enter)",
                )
            elif known.digest != taken.digest:
                yield (
                    True,
                    f"{unit} let a person in by a grant {taken.grant_id} that is not the one in the log",
                )
        ended: set[tuple[str, str]] = set()
        for one in reported.resets:
            given = self._grants.get(one.grant_id)
            if one.at_us >= self._opened_us and not (given and given.can_destroy):
                yield True, f"{one.unit} was reset under grant {one.grant_id or '(none)'}: no entry allows it"
            elif given and (what := given.wrong_with(one)):
                yield True, f"{one.unit} was reset under grant {one.grant_id}, {what}"
            elif given and given.of_records and not given.log and (one.unit, one.grant_id) in ended:
                yield (  # only a log of an earlier form has such a grant, which then allowed this
                    False,
                    f"a second reset of {one.unit} under grant {one.grant_id}, which names no log",
                )
            ended.add((one.unit, one.grant_id))

    def _not_out(self, reported: Reported) -> Iterator[str]:
        """Documents that units were offered and now are not, or only in an older or different form."""
        if reported.documents is None:
            return
        here = {(name, unit): (version, digest) for name, unit, version, digest in reported.documents}
        for (name, unit), said in sorted(self._out.items()):
            now = here.get((name, unit))
            what = f"{name} for unit {unit[:16]}" if unit else name
            if now is not None and now[1] == UNSIGNED:
                continue  # reported separately
            if now is None and not name.startswith(f"{PART}/"):  # a list that got shorter has fewer
                yield f"units are no longer offered {what}, which they were offered in version {said[0]}"
            elif now is not None and now[0] < said[0]:
                yield f"units are offered version {now[0]} of {what}, and were offered version {said[0]}"
            elif now is not None and now[1] == SHUT and said[1] != SHUT:
                yield f"units are offered {what}, version {now[0]}, which does not open here (hotlists.key)"
            elif now is not None and now[0] == said[0] and now[1] not in {said[1], b""}:
                yield f"units are offered a {what} that is not the version {said[0]} in the log"

    def _not_entered(self, reported: Reported) -> Iterator[tuple[bool, str]]:
        """(whether it is wrong, what) for documents that units are offered and no entry names yet.

        A crash between the offer and its entry leaves one, which the daily run enters. An entry does not
        justify what no desk offers or no person signed.
        """
        offers = dict(self._offers)
        for name, unit, version, digest in reported.documents or () if self._out else ():
            if digest == UNSIGNED:
                whose = f"unit {unit[:16]} is" if unit else "units are"
                yield True, f"{whose} offered {name}, version {version}, which the command key did not sign"
                continue
            if version <= self._out.get((name, unit), (-1, b""))[0]:
                continue
            offers[name] = offers.get(name, 0) + 1
            what = f"version {version} of {name}, which units are offered"
            if unit and not name.startswith(FOR_ONE_UNIT):
                yield True, f"{name} is for every unit, and unit {unit[:16]} is offered it separately"
            elif name.startswith(SIGNED_HEADS) and offers[name] > self._signed.get(name, 0):
                yield True, f"no person signed {what}"
            else:
                yield False, f"{what}: the daily run enters it, and verify judges it then"

    def _is_older(self, record: FileInForce) -> bool:
        """Whether it is from before documents were entered: its version is below the first one of its
        name."""
        first = self._first.get(record.name)
        if first is not None:
            return record.version < first
        return not self._first_us or (
            record.name not in DOCUMENTS and record.version * SECOND_US < self._first_us
        )

    def _is_newer(self, record: FileInForce) -> bool:
        """Whether a time-based version is hardly older than the log's newest entry, since it is entered
        daily."""
        return record.name not in DOCUMENTS and record.version * SECOND_US > self._newest_us - DAY_US


def _given(entry: Entry, note: GrantIssued) -> Given:
    """A grant as its person signed it. An older log without signatures does not prove what it destroys."""
    form, up_to, log = form_of(entry.signed), 0, ""
    holds: tuple[int, ...] = ()
    with contextlib.suppress(StorageError):  # such an entry is not valid
        (up_to, holds), log = destroyed_by(form), log_of(form)
    return Given(
        digest=note.digest,
        can_destroy=can_destroy(note),
        of_records=destroys_records(form),
        log=log,
        units=note.units,
        up_to=up_to,
        holds=holds,
        signed=bool(form),
    )
