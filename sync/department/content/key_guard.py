"""The guard that opens content only for a logged, covered search. No I/O except for the keys.

It implements the door (`key_door.py`) in front of the key service, wherever that runs. The caller shows the
access entry with its opening, its place in the log and a tree head; the guard itself checks the signatures of
the log and the witnesses. A caller, even the administrator, who asks for more than the entry says, or shows
no entry, gets nothing. Wildcards, places and times are matched beside the keys (`query_match.py`), in memory;
only matches leave.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from storage import envelope, merkle
from storage.checkpoint import Checkpoint, NoteKey, open_checkpoint
from storage.codec import from_bytes
from storage.cosigners import Witnesses
from storage.errors import ProofError, StorageError
from storage.leaf import ENTRY, unchecked
from storage.read_records import ReadPlace, ReadText
from storage.sealing import Opened, commitment
from storage.times import DAY_US, MINUTE_US
from sync.department.content import alert_facts
from sync.department.content.followed_log import FollowError
from sync.department.content.key_door import Cover, HeadAskedError, MatchedRead, Row, read_name
from sync.department.content.key_service import KEEP_DAYS, ContentKeys
from sync.department.content.opened_list import OpenedList
from sync.department.content.query_match import matches
from sync.department.content.search_tokens import StoredElement
from sync.department.ground.department_time import span_text
from sync.department.journal.access_log import CONTEXT, ELEMENT, LogPart, entry_from, parse_leaf
from sync.department.journal.check_log import SKEW_US
from sync.department.journal.entries import Entry
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import HoldReleased
from sync.department.journal.inquiry_entries import Access, Query
from sync.department.journal.second_hand_facts import approval_of
from sync.department.journal.signed_forms import rests_on
from sync.department.journal.statements import said_in
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.system_terms import purge_due_us
from sync.department.store.closed_records import MOST_BESIDE, beside_name
from sync.errors import NewerError
from sync.root_file import Root

MOST_UNWITNESSED = 1000  # tree heads in one grace period; a busy department has a hundred
SEARCHED = frozenset({"text", "place"})
ELEMENTS_OF = {  # what an action's entry opens, if not everything
    "search": SEARCHED,
    "answer": SEARCHED,
    "alert": frozenset({ENTRY}),
    "alert-image": frozenset({"patch", "overview"}),
}
FINDS = frozenset({"search", "delivery"})  # actions whose own matches may be opened
T = TypeVar("T", bound=Note)
HELD = frozenset({"hold", "export"})
BY_THEMSELVES = frozenset({"alert", "alert-image"})  # based on alerts, not on searches
OPENS_FOR_US = 60 * MINUTE_US  # an access entry opens content for an hour


def _no(what: str, code: str) -> DeskRefusal:
    return DeskRefusal(what, code=code, clause="463.5", cure="the key service opens only what the log shows")


class GuardedKeys:
    """A door in front of a key service: checks the cover, then uses a key. As thread-safe as that."""

    def __init__(
        self,
        service: ContentKeys,
        log: NoteKey,
        log_id: bytes,
        witnesses: Witnesses,
        opened: OpenedList,
        *,
        grace_minutes: int,
        clock: Callable[[], int],
        root: Root | None = None,
    ) -> None:
        """`root`: the root file that was put beside the keys by hand."""
        self._followed = opened.follow(log, log_id, root)
        self._service, self._log, self._log_id, self._witnesses = service, log, log_id, witnesses
        self._opened = opened
        self._heads = threading.Lock()
        self._grace_us = grace_minutes * MINUTE_US
        self._clock = clock
        opened.found.forget(clock())

    def _shown(self, cover: Cover, kind: type[T], *, opens: bool = True) -> tuple[T, str, Entry]:
        """Check a cover; returns the note, its name in the service's log, its entry. Raises DeskRefusal.

        `opens`: content is opened for it; an access to content opens some for an hour.
        """
        try:
            payload = envelope.open_signed(cover.leaf, self._log.public, context=CONTEXT, limit=4096)
            log_id, named, sequence, _, mark = parse_leaf(payload)
            head = open_checkpoint(cover.checkpoint, self._log)
            witnessed = self._witnesses.witnessed(cover.checkpoint) is not None
            merkle.verify_inclusion(
                sequence, head.size, merkle.leaf_hash(cover.leaf), list(cover.inclusion), head.root
            )
            good = hmac.compare_digest(commitment(ELEMENT, cover.salt, cover.content), mark.commitment)
        except StorageError as error:
            raise _no(f"the entry is not shown to be in the log: {type(error).__name__}", "cover") from None
        try:
            entry = entry_from(named, sequence, cover.content)
        except StorageError:
            raise _no("the entry does not parse", "cover") from None
        now, stamp, note = self._clock(), entry.stamp, entry.note
        if not good or log_id != self._log_id or not isinstance(note, kind) or sequence != cover.sequence:
            raise _no("the entry shown is another one", "cover")
        if kind is Access and opens:  # a release remains valid
            _demand_fresh(stamp.at_us, now)
        before = self._opened.newest_without(sequence)
        if before is not None and stamp.at_us < before.at_us - SKEW_US:
            span = span_text(before.at_us - stamp.at_us)
            raise _no(f"the entry is dated {span} before a tree head that lacks it", "old-cover")
        self._continue(cover, head, now, witnessed=witnessed)
        leaf_hash = merkle.leaf_hash(cover.leaf)
        if kind is Access and opens:  # what was begun in time may take longer: the entry limits what it opens
            begun = self._opened.has_opened(sequence, leaf_hash)
            self._demand_signed(sequence, stamp.user, 0 if begun else now)
        if opens:
            self._opened.add_opened(cover.sequence, leaf_hash, witnessed=witnessed, at_us=now)
        key = hashlib.sha256(cover.leaf).digest()
        return note, f"entry {sequence} {key.hex()[:16]} of {stamp.user}", entry

    def _continue(self, cover: Cover, head: Checkpoint, now: int, *, witnessed: bool) -> None:
        """Check a head against the service's own memory of the log and of the grace period.

        Each head must continue the last, and so contains every entry for which content was opened. A restart
        resets neither.
        """
        with self._heads:
            self._demand_one_log(cover, head, *self._followed.head())
            if not witnessed and (seen := self._opened.newest_witnessed()) is not None:
                witnessed = head.size <= seen.size  # the witnesses saw a later head of the same log
            if not witnessed:
                since = self._opened.away_since_us()
                if not 0 <= now - (now if since is None else since) < self._grace_us:
                    raise _no("the witnesses have been away too long", "witness-away")
                if self._opened.unwitnessed() >= MOST_UNWITNESSED:  # whatever the clock says
                    raise _no("too much was opened while the witnesses were away", "witness-away")
            self._opened.add_head(head.size, head.root, witnessed=witnessed, at_us=now)

    @staticmethod
    def _demand_one_log(cover: Cover, head: Checkpoint, size: int, root: bytes) -> None:
        """Raises DeskRefusal unless the head is of the followed log and not beyond it."""
        if head.size == size:
            if head.root != root:
                raise _no("this is not the log that content was opened for", "forked")
            return
        if head.size > size or cover.since != size:
            raise HeadAskedError(size)
        try:
            merkle.verify_consistency(head.size, head.root, size, root, list(cover.consistency))
        except ProofError:
            raise _no(
                "the log shown does not continue the one that content was opened for", "forked"
            ) from None

    def follow(self, part: LogPart) -> int:
        """Take in the next entries of the log. Raises DeskRefusal for those of another log."""
        try:
            size = self._followed.head()[0]
            if part.start <= size:
                return self._followed.follow(part, self._opened.roots)
        except FollowError as error:
            raise _no(error.what, "forked") from None
        except NewerError as error:
            raise _no(f"{error.what}: update the key service", "newer") from None
        except StorageError as error:
            raise _no(f"the entries shown are not valid: {type(error).__name__}", "cover") from None
        raise HeadAskedError(size)

    def _demand_signed(self, sequence: int, user: str, now_us: int) -> None:
        try:
            self._followed.demand_signed(sequence, now_us)
        except UnsignedError as error:
            raise _no(f"entry {sequence} is not proven to be {user}'s: {error}", "unsigned") from None

    def tokens(self, cover: Cover, query: Query, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        access, why, _ = self._shown(cover, Access)
        _demand_query(access, query)
        for day in days:
            _demand_day(query, day)
            _demand_kept(day, self._clock())
        return self._service.tokens(why, query.plate, days)

    def match(
        self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[MatchedRead]:
        access, why, entry = self._shown(cover, Access)
        _demand_query(access, query)
        _demand_day(query, day)
        _demand_kept(day, self._clock())
        self._demand_unit(query, log_id)
        _demand_of_log(log_id, rows)
        wanted = [one for row in rows for one in row.wanted(("text", "place"))]
        opened = self._service.open_stored(f"{why}: match", day, log_id, wanted)
        result = []
        arrived = day if access.action == "search" else None  # shared reads must be from the approved time
        for at, row in enumerate(rows):
            text = from_bytes(ReadText, opened[2 * at].content)
            place = from_bytes(ReadPlace, opened[2 * at + 1].content)
            exact = access.action == "search" or text.text == query.plate  # an agency gets what it named
            if exact and matches(query, text, place, arrived):
                result.append(MatchedRead(row.sequence, text, place))
        if result:
            matched = {one.sequence for one in result}
            found = [row for row in rows if row.sequence in matched]
            self._keep_found(entry, access.request if access.action == "search" else -1, found)
        return result

    def _demand_unit(self, query: Query, log_id: bytes) -> None:
        """Raises DeskRefusal if a search of one unit asks for a log of another."""
        if not query.unit:
            return
        try:
            self._followed.demand_unit(query.unit, log_id)
        except UnsignedError as error:
            raise _no(f"the search is of one unit: {error}", "other-unit") from None

    def _keep_found(self, entry: Entry, request: int, rows: Sequence[Row], *, held: bool = False) -> None:
        found, user = self._opened.found, entry.stamp.user
        names = [_found_name(row) for row in rows]
        found.add(self._log_id, entry.sequence, user, request, names, entry.stamp.at_us, held=held)

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        access, why, entry = self._shown(cover, Access)
        if access.action in HELD:
            raise _no("what is held is sealed and opened by its own calls", "other-action")
        if access.action not in FINDS:
            _demand_named(log_id, rows, set(access.reads))
        if access.action != "alert":  # units report alerts regardless of their day
            _demand_kept(day, self._clock())
        _demand_of_log(log_id, rows)
        self._demand_found(entry, access, log_id, rows)
        allowed = ELEMENTS_OF.get(access.action)
        if allowed is not None and any(set(row.elements) - allowed for row in rows):
            raise _no("viewing an image needs an entry of its own", "other-action")
        if access.action == "alert-image":
            self._demand_alerted(log_id, rows)
        if access.action == "delivery" and entry.signed and any(set(row.elements) - SEARCHED for row in rows):
            self._demand_images(entry, access.request)
        opened = iter(self._service.open_stored(why, day, log_id, _wanted(rows)))
        result = [{name: next(opened) for name in sorted(row.elements)} for row in rows]
        if access.action == "alert":
            self._keep_alerts(cover.sequence, log_id, rows, result)
        return result

    def _demand_images(self, entry: Entry, request: int) -> None:
        """Raises DeskRefusal unless the agency asked for pictures."""
        try:
            self._followed.demand_images(said_in(entry.signed), request)
        except UnsignedError as error:
            raise _no(str(error), "scope") from None

    def _demand_found(
        self, entry: Entry, access: Access, log_id: bytes, rows: Sequence[Row], hold: int = -1
    ) -> None:
        """Raises DeskRefusal unless each read may be opened.

        It must have been found by this search, or by searches of the same person that the signed call names;
        or a second person must have approved. `hold`: the access of the hold that is opened.
        """
        if access.action in BY_THEMSELVES or not entry.signed:  # before the first key, nothing is signed
            return
        said = said_in(entry.signed)
        if access.action not in FINDS and approval_of(said) >= 0:
            return  # `second_hands.py` has judged it
        accesses, request = rests_on(said)
        if access.action in FINDS:
            accesses, request = (entry.sequence,), -1
        found, user = self._opened.found, entry.stamp.user
        for row in rows:
            names = (_found_name(row), read_name(log_id, row.sequence))  # the second by an older version
            if not any(
                found.by_request(self._log_id, name, request)
                or found.by_access(self._log_id, name, (*accesses, hold), user)
                for name in names
            ):
                raise _no(f"none of {user}'s searches that the call names found that read", "other-read")

    def _demand_alerted(self, log_id: bytes, rows: Sequence[Row]) -> None:
        """Raises DeskRefusal unless an alert was opened here for each of these reads."""
        for row in rows:
            if not self._opened.has_alert(alert_facts.of_read(read_name(log_id, row.sequence))):
                raise _no("no alert of that read was opened", "other-alert")

    def _keep_alerts(
        self, sequence: int, log_id: bytes, rows: Sequence[Row], opened: Sequence[dict[str, Opened]]
    ) -> None:
        for row, elements in zip(rows, opened, strict=True):
            name = read_name(log_id, row.sequence)
            facts = alert_facts.of_content(log_id.hex(), name, elements[ENTRY].content)
            self._opened.add_alerts(sequence, facts, at_us=self._clock())

    def hold(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        access, why, entry = self._shown(cover, Access)
        _demand_action(access, "hold")
        _demand_named(log_id, rows, set(access.reads))
        _demand_of_log(log_id, rows)
        self._demand_found(entry, access, log_id, rows)
        if entry.signed and approval_of(said_in(entry.signed)) < 0:  # only its placer exports it
            self._keep_found(entry, -1, rows, held=True)
        name = self._hold_name(cover.sequence)
        sealed = iter(self._service.hold_stored(why, name, day, log_id, _wanted(rows)))
        return [{name: next(sealed) for name in sorted(row.elements)} for row in rows]

    def open_held(
        self, cover: Cover, access: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[dict[str, Opened]]:
        shown, why, entry = self._shown(cover, Access)
        _demand_action(shown, "export")
        _demand_named(log_id, rows, set(shown.reads))
        _demand_of_log(log_id, rows)
        if entry.signed:
            try:
                self._followed.demand_hold(said_in(entry.signed), access)
            except UnsignedError as error:
                raise _no(f"entry {cover.sequence} opens no such hold: {error}", "other-hold") from None
        self._demand_found(entry, shown, log_id, rows, access)
        opened = iter(self._service.open_held(why, self._hold_name(access), log_id, _wanted(rows)))
        return [{name: next(opened) for name in sorted(row.elements)} for row in rows]

    def held_keys(self) -> list[int]:
        own = self._own_holds
        names = (one for one in self._service.hold_keys() if one.startswith(own))
        return sorted(int(one.removeprefix(own)) for one in names)

    def abandon(self, cover: Cover) -> None:
        access, why, entry = self._shown(cover, Access, opens=False)
        _demand_action(access, "hold")
        at_us = entry.stamp.at_us
        if self._clock() - at_us <= DAY_US:
            raise _no(f"entry {cover.sequence} is not a day old", "other-hold")
        try:
            self._followed.demand_no_hold(cover.sequence, at_us)
        except UnsignedError as error:
            raise _no(f"entry {cover.sequence} did not come to nothing: {error}", "other-hold") from None
        self._service.destroy_hold_key(why, self._hold_name(cover.sequence))

    def release(self, cover: Cover) -> None:
        released, why, _ = self._shown(cover, HoldReleased)
        try:
            self._followed.demand_released(cover.sequence)
        except UnsignedError as error:
            raise _no(f"entry {cover.sequence} ends no hold: {error}", "unsigned") from None
        self._service.destroy_hold_key(why, self._hold_name(released.access))

    @property
    def _own_holds(self) -> str:
        """How the names of this log's hold keys begin."""
        return f"{self._log_id.hex()[:16]}-"

    def _hold_name(self, access: int) -> str:
        return f"{self._own_holds}{access}"


def _demand_fresh(at_us: int, now_us: int) -> None:
    """Raises DeskRefusal unless an entry is at most an hour old by this clock.

    The desk's clock may be ahead by as much as two clocks may differ.
    """
    if at_us - now_us > SKEW_US:
        span = span_text(at_us - now_us)
        raise _no(f"the entry is dated {span} ahead of the key service's clock: compare the two", "old-cover")
    if now_us - at_us > OPENS_FOR_US:
        span = span_text(now_us - at_us)
        raise _no(
            f"the entry is more than an hour old ({span}) by the key service's clock: a new lookup needs a "
            "new entry; if it is new, compare the two clocks",
            "old-cover",
        )


def _wanted(rows: Sequence[Row]) -> list[StoredElement]:
    return [one for row in rows for one in row.wanted(sorted(row.elements))]


def _found_name(row: Row) -> str:
    """The name of a found read: of this leaf, not of another with the same number."""
    return merkle.leaf_hash(row.leaf).hex()


def _demand_of_log(log_id: bytes, rows: Sequence[Row]) -> None:
    """Raises DeskRefusal unless each leaf is of the named log, or of the closed log that it is beside."""
    for row in rows:
        own = unchecked(row.leaf).log_id
        if own != log_id and log_id not in {beside_name(own, at) for at in range(MOST_BESIDE)}:
            raise _no("a leaf does not belong to the named log", "other-read")


def _demand_named(log_id: bytes, rows: Sequence[Row], allowed: set[str]) -> None:
    for row in rows:
        if read_name(log_id, row.sequence) not in allowed:
            raise _no("the entry does not name that read", "other-read")


def _demand_action(access: Access, action: str) -> None:
    if access.action != action:
        raise _no(f"the entry does not allow: {action}", "other-action")


def _demand_day(query: Query, day: int) -> None:
    """Raises DeskRefusal for a day before the searched time: no read is received before it is made."""
    if day < query.since_us // DAY_US:
        raise _no("the search begins after that day of receipt", "other-day")


def _demand_kept(day: int, now_us: int) -> None:
    """Raises DeskRefusal once a day's year is over (463.8), even if its destruction waits.

    Allows for a difference between two clocks.
    """
    if now_us - SKEW_US >= purge_due_us(day, KEEP_DAYS):
        raise _no("the year of that day of receipt is over", "over")


def _demand_query(access: Access, query: Query) -> None:
    if (
        access.action not in {"search", "delivery"}
        or access.elements != query.text()
        or access.plate != query.plate
    ):
        raise _no("the entry belongs to another search", "other-search")
